"""The package as it is packed: in the example, on a server, and without React."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.e2e.react.conftest import App, run
from tests.support.front import Front
from tests.support.pictures import make_portrait, open_image, save
from tests.support.server import PREFIX, REPOSITORY, BentoServer

pytestmark = pytest.mark.services

PORTRAIT = save(Image.fromarray(make_portrait(120, 160)), "PNG")
RENDER = """
import { createElement } from "react";
import { renderToString } from "react-dom/server";
const found = ["window", "document", "XMLHttpRequest"].filter((name) => name in globalThis);
if (found.length) throw new Error(`not a server: ${found}`);
const { BackgroundRemoval } = await import("birefnet-background-removal");
console.log(renderToString(createElement(BackgroundRemoval)));
"""
ASK = """
import { createClient, RemovalError } from "birefnet-background-removal/client";
import { readFile, writeFile } from "node:fs/promises";
const [baseUrl, source, target] = process.argv.slice(2);
const client = createClient({ baseUrl });
const { blob, model, uploadMs } = await client.remove(new Blob([await readFile(source)]));
await writeFile(target, new Uint8Array(await blob.arrayBuffer()));
const { status } = await client.health();
const bad = await client.remove(new Blob(["no picture"])).catch((error) => error);
const gone = await createClient({ baseUrl: "http://127.0.0.1:9" }).info().catch((error) => error);
const ended = await client.remove(new Blob(["x"]), { signal: AbortSignal.abort() }).catch((e) => e);
const codes = [bad, gone, ended].map((error) => error instanceof RemovalError && error.code);
console.log(JSON.stringify({ model, uploadMs, status, codes }));
"""


def test_the_example_works_in_a_browser(app: App, front: Front, browser: Browser) -> None:
    page = browser.new_context().new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(front.url)
    given = {"name": "a.png", "mimeType": "image/png", "buffer": PORTRAIT}
    page.get_by_label("Choose a picture").set_input_files(given)
    with page.expect_download() as begun:
        page.get_by_role("link", name="Download").click()
    saved = open_image(Path(begun.value.path()).read_bytes())
    assert (saved.format, saved.mode, saved.size) == ("PNG", "RGBA", (160, 120))
    assert re.fullmatch(r"a_nobg_\w+\.png", begun.value.suggested_filename)
    page.get_by_label("A picture for a sticker").set_input_files(given)
    expect(page.get_by_alt_text("Your sticker")).to_be_visible()
    assert complaints == []
    page.context.close()


def test_it_renders_on_a_server_and_touches_no_browser(app: App) -> None:
    (app.folder / "render.mjs").write_text(RENDER)
    html = run("node", "render.mjs", cwd=app.folder)
    assert re.search(r'<label [^>]*for="([^"]+)".*<input [^>]*id="\1" type="file"', html)
    assert "<style" not in html
    assert "style=" not in html


def test_the_client_runs_on_a_server(app: App, service: BentoServer, tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "cutout.png"
    source.write_bytes(PORTRAIT)
    (app.folder / "ask.mjs").write_text(ASK)
    told = json.loads(run("node", "ask.mjs", service.url(PREFIX), source, target, cwd=app.folder))
    assert target.read_bytes() == service.remove(PORTRAIT).content
    assert told == {
        "model": "u2netp",
        "uploadMs": None,
        "status": "degraded",
        "codes": ["INVALID_FORMAT", "CONNECTION_LOST", "CANCELLED"],
    }


def test_only_what_needs_react_is_for_clients_alone_and_nothing_else_comes_along(
    tarball: Path,
) -> None:
    with tarfile.open(tarball) as packed:
        files = {
            member.name.removeprefix("package/"): opened.read().decode()
            for member in packed.getmembers()
            if (opened := packed.extractfile(member)) is not None
        }
    named = {name for name in files if not name.startswith("dist/")}
    assert named == {"package.json", "README.md", "LICENSE", "styles.css"}
    assert files["LICENSE"] == (REPOSITORY / "LICENSE").read_text()
    marked = {name for name, text in files.items() if text.startswith('"use client"')}
    assert marked == {"dist/useBackgroundRemoval.js", "dist/BackgroundRemoval.js"}
    package = json.loads(files["package.json"])
    assert package.keys().isdisjoint({"dependencies", "optionalDependencies"})
    assert package["peerDependencies"] == {"react": "^18.2 || ^19"}
    imported = {
        name
        for file, text in files.items()
        if file.endswith(".js")
        for name in re.findall(r'from "([^".][^"]*)"', text)
    }
    assert imported == {"react", "react/jsx-runtime"}


def test_the_types_are_those_of_the_committed_schema(tarball: Path, tmp_path: Path) -> None:
    generator = REPOSITORY / "web/node_modules/.bin/openapi-typescript"
    run(generator, "tests/data/openapi.json", "-o", tmp_path / "schema.ts", cwd=REPOSITORY)
    committed = (REPOSITORY / "web/package/src/schema.ts").read_text()
    assert (tmp_path / "schema.ts").read_text() == committed, "run: make web"
