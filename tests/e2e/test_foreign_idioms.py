"""What others' documentation tells people to write, unchanged but for the address and the key."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from tests.support.pictures import make_image
from tests.support.server import BentoServer

#: remove.bg's documentation for Node: `fetch` with a form.
NODE = """
import fs from "node:fs";
const [url, input, output] = process.argv.slice(2);
async function removeBg(blob) {
  const formData = new FormData();
  formData.append("size", "auto");
  formData.append("image_file", blob);
  const response = await fetch(url, {
    method: "POST",
    headers: { "X-Api-Key": "INSERT_YOUR_API_KEY_HERE" },
    body: formData,
  });
  if (response.ok) return await response.arrayBuffer();
  throw new Error(`${response.status}: ${response.statusText}`);
}
const fileBlob = new Blob([fs.readFileSync(input)]);
fs.writeFileSync(output, Buffer.from(await removeBg(fileBlob)));
"""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "photo.png"
    file.write_bytes(make_image("PNG", 100, 120))
    return file


def run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True, timeout=60)


def test_curl_of_removebgs_documentation(fake_server: BentoServer, photo: Path) -> None:
    out, url = photo.with_name("no-bg.png"), fake_server.url("/v1.0/removebg")
    fields = ("-F", f"image_file=@{photo}", "-F", "size=auto")
    run("curl", "-sS", "-H", "X-API-Key: INSERT_YOUR_API_KEY_HERE", *fields, "-f", url, "-o", out)
    assert out.read_bytes() == fake_server.remove(photo.read_bytes()).content


def test_requests_of_removebgs_documentation(fake_server: BentoServer, photo: Path) -> None:
    with photo.open("rb") as image:
        response = requests.post(
            fake_server.url("/v1.0/removebg"),
            files={"image_file": image},
            data={"size": "auto"},
            headers={"X-Api-Key": "INSERT_YOUR_API_KEY_HERE"},
            timeout=60,
        )
    assert response.status_code == requests.codes.ok, response.text
    assert response.content == fake_server.remove(photo.read_bytes()).content
    response = requests.post(
        fake_server.url("/v1.0/removebg"),
        data={"image_file_b64": base64.b64encode(photo.read_bytes()), "size": "preview"},
        headers={"X-Api-Key": "INSERT_YOUR_API_KEY_HERE"},
        timeout=60,
    )
    assert response.status_code == requests.codes.ok, response.text


def test_node_of_removebgs_documentation(fake_server: BentoServer, photo: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("only with Node")
    script, out = photo.with_name("idiom.mjs"), photo.with_name("no-bg.png")
    script.write_text(NODE)
    run(node, script, fake_server.url("/v1.0/removebg"), photo, out)
    assert out.read_bytes() == fake_server.remove(photo.read_bytes()).content


def test_curl_and_requests_of_rembgs_documentation(fake_server: BentoServer, photo: Path) -> None:
    out, url = photo.with_name("out.png"), fake_server.url("/api/remove")
    run("curl", "-sS", "-f", "-F", f"file=@{photo}", url, "-o", out)
    own = fake_server.remove(photo.read_bytes()).content
    assert out.read_bytes() == own
    with photo.open("rb") as image:
        response = requests.post(url, files={"file": image}, data={"a": "true"}, timeout=60)
    assert response.content == own
