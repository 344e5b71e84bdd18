"""The schema of the API is a promise: a change of it is seen in review."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from service.http.app import create_app
from service.http.forms import FIELDS, FILES, IMAGE_URL

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
    assert set(form["properties"]) == set(FIELDS) >= {"image", "smoothing", "return_base64"}
    as_json = remove["requestBody"]["content"]["application/json"]["schema"]
    assert set(as_json["properties"]) == set(FIELDS)
    assert {one["name"] for one in remove["parameters"]} == set(FIELDS) - {*FILES, IMAGE_URL}
    kinds = {"image/png", "image/webp", "image/jpeg", "image/avif", "application/zip"}
    assert set(remove["responses"]["200"]["content"]) == {*kinds, "application/json"}
    assert {"400", "408", "413", "422", "429", "500", "503", "504"} <= set(remove["responses"])


def test_every_reference_leads_to_something_that_is_there() -> None:
    schema = create_app().openapi()
    references = list(references_in(schema))
    assert len(references) > 5
    for reference in references:
        at: Any = schema
        assert reference.startswith("#/components/schemas/"), reference  # where generators look
        for step in reference.removeprefix("#/").split("/"):
            assert step in at, reference
            at = at[step]


def test_no_schema_brings_definitions_of_its_own() -> None:
    assert "$defs" not in write_schema()


def test_json_and_picture_are_both_described_as_what_they_are() -> None:
    content = create_app().openapi()["paths"]["/remove"]["post"]["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/RemovalBody"}
    assert content["image/png"]["schema"] == {"type": "string", "format": "binary"}


def test_every_operation_has_a_name_that_a_generated_client_can_bear() -> None:
    paths = create_app().openapi()["paths"].values()
    names = [operation["operationId"] for path in paths for operation in path.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][A-Za-z0-9]+", name) for name in names)


def test_keys_are_shown_where_they_count_and_as_needed_where_they_are() -> None:
    schema = create_app().openapi()
    assert schema["components"]["securitySchemes"]["ApiKey"]["name"] == "X-API-Key"
    assert schema["components"]["securitySchemes"]["Bearer"]["scheme"] == "bearer"
    schemes: list[dict[str, Any]] = [{"ApiKey": []}, {"Bearer": []}]
    strict = create_app(require_key=True).openapi()
    for path in ("/remove", "/remove-batch"):
        assert schema["paths"][path]["post"]["security"] == [*schemes, {}]
        assert strict["paths"][path]["post"]["security"] == schemes
        assert "401" in schema["paths"][path]["post"]["responses"]
    for path in ("/health", "/models", "/info"):
        assert "security" not in schema["paths"][path]["get"]
        assert "security" not in strict["paths"][path]["get"]


def references_in(node: object) -> Iterator[str]:
    """Every `$ref` below a node."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references_in(child)
    elif isinstance(node, list):
        for child in node:
            yield from references_in(child)


if __name__ == "__main__":
    SNAPSHOT.write_text(write_schema())
