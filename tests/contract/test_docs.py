"""What the documentation names exists, and what exists it names."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from starlette.routing import Route

from scripts.write_docs import documents
from service.http.app import EXPOSED_HEADERS, create_app
from service.http.forms import FIELDS
from service.http.multipart import MAX_PART_HEADER_BYTES, MAX_PART_HEADERS, MAX_PARTS
from service.http.policies import PREFIX
from service.settings import Settings, variable
from tests.support.api import SWAGGER_UI
from tests.support.documentation import (
    BY_USE,
    HELD_ELSEWHERE,
    LANGUAGES,
    OF_OTHERS,
    Snippet,
    snippets_of,
)

VARIABLES = [variable(name) for name in Settings.model_fields]
OF_THE_CLIENT = ("BIREFNET_URL", "BIREFNET_API_KEY", "BIREFNET_API_KEY_FILE")


@pytest.mark.parametrize("path", documents(), ids=str)
def test_generated_documentation_is_up_to_date(path: Path, root: Path) -> None:
    assert (root / path).read_text() == documents()[path], "run: python -m scripts.write_docs"


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("path", ["docs/configuration.md", ".env.example"])
def test_every_setting_is_documented(path: str, name: str, root: Path) -> None:
    assert re.search(rf"\b{name}\b", (root / path).read_text())


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_has_a_description(field: str) -> None:
    assert (Settings.model_fields[field].description or "").endswith(".")


def test_the_example_holds_the_defaults_and_they_are_valid(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (root / ".env.example").read_text()
    given = re.findall(r"^# ((?:BIREFNET_|LOG_)\w+=.+)$", text, re.MULTILINE)
    assert len(given) > 10
    (tmp_path / ".env").write_text("\n".join(given))
    monkeypatch.chdir(tmp_path)
    assert Settings() == Settings(_env_file=None)  # type: ignore[call-arg]


def test_every_variable_a_page_names_is_a_setting(root: Path) -> None:
    named = {
        (page.name, name)
        for page in _pages(root)
        for name in re.findall(r"\bBIREFNET_[A-Z_]*[A-Z]\b", page.read_text())
    }
    assert named
    known = {*VARIABLES, *OF_THE_CLIENT}
    assert not {(page, name) for page, name in named if name not in known}


def test_every_route_is_documented(root: Path) -> None:
    api = (root / "docs/api.md").read_text()
    paths = set(create_app().openapi()["paths"])
    assert {"/remove", "/health"} <= paths
    for path in (*paths, "/docs", "/openapi.json"):
        assert f"{PREFIX}{path}`" in api
    for native in ("/remove_background", "/metrics", "/livez", "/readyz"):
        assert native in api


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_the_form_is_documented(field: str, root: Path) -> None:
    assert f"\n| `{field}` | " in (root / "docs/api.md").read_text()


def test_the_limits_of_a_form_are_documented(root: Path) -> None:
    headers = f"{MAX_PART_HEADERS} headers of {MAX_PART_HEADER_BYTES // 1024} KB"
    text = " ".join((root / "docs/api.md").read_text().split())
    assert f"A form may have {MAX_PARTS} parts, a part {headers} each" in text


def test_routes_the_schema_hides_are_pages_and_the_schema_itself() -> None:
    app = create_app(swagger_ui=SWAGGER_UI)
    hidden = {r.path for r in app.routes if isinstance(r, Route)} - set(app.openapi()["paths"])
    assert hidden <= {"/docs", "/static/{name}", "/openapi.json"}


@pytest.mark.parametrize("header", EXPOSED_HEADERS)
def test_every_header_is_documented(header: str, root: Path) -> None:
    assert f"`{header}`" in (root / "docs/api.md").read_text()


def test_every_link_between_pages_leads_somewhere(root: Path) -> None:
    for page in _pages(root):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_link_to_a_heading_leads_to_one(root: Path) -> None:
    for page in _pages(root):
        for target, heading in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
            there = page.parent / target if target else page
            headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
            assert heading in anchors, f"{page.name} links to {target}#{heading}"


def test_every_file_a_page_names_exists(root: Path) -> None:
    for page in _pages(root):
        if page.name == "CHANGELOG.md" or page.parent.name in ("benchmarks", "decisions"):
            continue  # they tell of files that were
        for name in re.findall(
            r"`((?:service|models|scripts|tests|examples)/[\w/.]+)`", page.read_text()
        ):
            assert (root / name).exists(), f"{page.name} names {name}"


def test_every_page_is_linked_from_another(root: Path) -> None:
    pages = {*(root / "docs").rglob("*.md"), root / "README.md"}
    linked = {
        (page.parent / target).resolve()
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    }
    lost = {page for page in pages if not linked & {page.resolve(), page.parent.resolve()}}
    assert lost <= {root / "README.md"}


@pytest.mark.parametrize("tool", ["evaluate", "benchmark", "gpu_check"])
def test_the_readme_names_what_measures(tool: str, root: Path) -> None:
    assert f"scripts.{tool}`" in _readme(root)


def test_every_command_the_pages_name_exists(root: Path) -> None:
    pages = [*(root / "docs").rglob("*.md"), root / "README.md", root / "deploy/README.md"]
    text = "\n".join(page.read_text() for page in pages)
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)\b", text, re.MULTILINE))
    assert {"serve", "test"} <= named <= targets, named - targets
    scripts = set(re.findall(r"-m scripts\.(\w+(?:\.\w+)*)", text))
    assert scripts
    for script in scripts:
        place = root / "scripts" / script.replace(".", "/")
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), script


def test_the_readme_s_curl_names_a_photograph_and_a_route_that_exist(root: Path) -> None:
    command = re.search(r"curl -F image=@(\S+) .*\n?.*localhost:55433(\S+)", _readme(root))
    assert command is not None
    assert (root / command[1]).exists()
    assert command[2] == f"{PREFIX}/remove"


def _shown() -> list[tuple[str, Snippet]]:
    return [(page.name, one) for page in BY_USE for one in snippets_of(page)]


def test_every_program_of_a_page_by_use_is_run_or_says_why_not() -> None:
    assert len(BY_USE) > 15
    for page, shown in _shown():
        ways = (shown.why_not, shown.language in LANGUAGES, page in HELD_ELSEWHERE)
        assert any(ways) or shown.language in OF_OTHERS, f"{page}: {shown}"


def test_every_program_of_a_page_by_use_can_be_read() -> None:
    for page, shown in _shown():
        if shown.language == "python":
            compile(shown.text, page, "exec")
        elif shown.language == "bash":
            words = ["bash", "-n", "-c", shown.text]
            assert subprocess.run(words, check=False).returncode == 0, f"{page}: {shown}"


def _pages(root: Path) -> list[Path]:
    deploying = root.glob("deploy/*/README.md")
    return [
        *(root / "docs").rglob("*.md"),
        *root.glob("*.md"),
        *root.glob("*/README.md"),
        *deploying,
    ]


def _readme(root: Path) -> str:
    return (root / "README.md").read_text()
