"""The page and what it is built from, as they lie in the repository."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

# What the page's removals are not answered with: of other routes and options, of commands, or told
# under another name.
NOT_OF_THE_PAGE = {
    "BACKGROUND_NOT_FOUND",
    "BACKGROUND_QUOTA_EXCEEDED",
    "CHECKPOINT_ERROR",
    "CHECKPOINT_MISMATCH",
    "CHECKSUM_MISMATCH",
    "DOWNLOAD_FAILED",
    "ENGINE_BUILD_FAILED",
    "ENGINE_INCOMPATIBLE",
    "ENGINE_NOT_BUILT",
    "ENGINE_UNAVAILABLE",
    "GRAPH_NOT_MATCHED",
    "IDEMPOTENCY_CONFLICT",
    "IMAGE_URL_DISABLED",
    "IMAGE_URL_FAILED",
    "IMAGE_URL_UNREACHABLE",
    "MODEL_NOT_FOUND",
    "NETWORK_OVERFLOWED",
    "ORIGIN_NOT_ALLOWED",
    "OUT_OF_DEVICE_MEMORY",
    "PREVIEWS_DISABLED",
    "QUEUE_FULL",
    "STORAGE_FULL",
    "STORAGE_UNAVAILABLE",
    "TASKS_DISABLED",
    "TASKS_UNAVAILABLE",
    "TASK_ENDS_PROCESS",
    "TASK_NOT_FINISHED",
    "TASK_NOT_FOUND",
    "TOO_MANY_TASKS",
    "UNHEALTHY",
    "UNKNOWN_FOREGROUND",
    "WEBHOOKS_DISABLED",
}


def test_the_page_has_words_and_a_way_out_for_every_error(root: Path) -> None:
    documented = set(re.findall(r"^### ([A-Z_]+)$", (root / "docs/errors.md").read_text(), re.M))
    source = (root / "web/page/src/queue/failures.ts").read_text()
    known = set(re.findall(r"^  ([A-Z_]+): ", source, re.M))
    of_the_page = {"CONNECTION_LOST", "NOT_OURS", "CANCELLED", "CANNOT_SHRINK", "UNREADABLE"}
    assert known - of_the_page == documented - NOT_OF_THE_PAGE


def test_every_key_is_in_the_documentation(root: Path) -> None:
    source = (root / "web/page/src/keys.ts").read_text()
    listed = re.findall(r'\{ keys: "([^"]+)"', source)
    assert len(listed) > 10
    table = (root / "docs/page.md").read_text().partition("## Keys")[2].partition("\n## ")[0]
    for keys in listed:
        assert keys.removeprefix("Alt+").rstrip("←→↑↓") in table, keys


def test_no_text_is_unused(root: Path) -> None:
    files = list((root / "web/page/src").rglob("*.ts*"))
    used = "".join(file.read_text() for file in files)
    strings = (root / "web/page/src/strings.ts").read_text()
    texts = set(re.findall(r"^  (\w+):", strings.partition("} as const")[0], re.M))
    by_state_of_health = {"degraded", "unhealthy"}
    assert len(texts) > 100
    assert {text for text in texts - by_state_of_health if f'"{text}"' not in used} == set()


@pytest.mark.parametrize("package", ["react", "react-dom", "zustand", "client-zip"])
def test_what_the_page_contains_is_named_with_its_licence(root: Path, package: str) -> None:
    lock = json.loads((root / "web/package-lock.json").read_text())
    assert lock["packages"][f"node_modules/{package}"]["license"] == "MIT"
    assert package in (root / "NOTICE").read_text()


def test_the_lock_names_no_registry_and_no_package_may_run_scripts(root: Path) -> None:
    assert '"resolved"' not in (root / "web/package-lock.json").read_text().replace(
        '"resolved": "package"', ""
    ).replace('"resolved": "page"', "")
    assert "ignore-scripts=true" in (root / "web/.npmrc").read_text()
