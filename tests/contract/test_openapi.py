"""The schema of the API is a promise: a change of it is seen in review."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from service.http.app import create_app

SNAPSHOT = Path(__file__).parents[1] / "data/openapi.json"
REGENERATE = "python -m tests.contract.test_openapi"


def write_schema() -> str:
    schema: dict[str, Any] = create_app().openapi()
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_the_schema_is_the_one_that_was_reviewed() -> None:
    reviewed, now = json.loads(SNAPSHOT.read_text()), json.loads(write_schema())
    assert now == reviewed, (
        f"the API's schema has changed. If that is meant, run `{REGENERATE}`, "
        "look at the difference, and note it in CHANGELOG.md and docs/api.md"
    )


def test_the_schema_shows_the_form_and_every_kind_of_answer() -> None:
    remove = create_app().openapi()["paths"]["/remove"]["post"]
    form = remove["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"image", "smoothing", "return_base64"}
    assert set(remove["responses"]["200"]["content"]) == {"image/png", "application/json"}
    assert {"400", "408", "413", "422", "429", "500", "503", "504"} <= set(remove["responses"])


if __name__ == "__main__":
    SNAPSHOT.write_text(write_schema())
