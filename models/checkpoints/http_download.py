"""Downloads exactly the announced bytes; until they are verified under a temporary name.

An interrupted transfer goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from models.artifacts import sha256_of
from models.errors import ChecksumMismatch, DownloadFailed

# Called with bytes so far and bytes in all (0 where unknown).
Progress = Callable[[int, int], None]

TIMEOUT_S = 60.0
CHUNK_BYTES = 1 << 20
# Four times the largest file anybody published for us: a source without end is not followed.
MOST_BYTES = 4 << 30


@dataclass(frozen=True)
class Content:
    """What lies at an address.

    Attributes:
        url: The address.
        sha256: Its hash.
        size_bytes: Its size, or None where nobody announced it.
    """

    url: str
    sha256: str
    size_bytes: int | None = None


def fetch(content: Content, target: Path, progress: Progress, most_bytes: int = MOST_BYTES) -> Path:
    """Fetch a file, or the rest of it.

    Args:
        content: What to fetch.
        target: Path it shall have in the end; the temporary one lies beside it.
        progress: Told about bytes as they arrive.
        most_bytes: Where to give up if no smaller size was announced.

    Returns:
        The verified file, still under its temporary name.

    Raises:
        ChecksumMismatch: If it is not what was announced; nothing is kept.
        DownloadFailed: If the server refuses.
        httpx.HTTPError: If it does not answer, or stops half-way.
    """
    # Named after its content, so that a part of one file is never continued with another.
    partial = target.with_name(f"{target.name}.{content.sha256[:12]}.part")
    most_bytes = min(content.size_bytes or most_bytes, most_bytes)
    resumed = _size(partial) > 0
    try:
        _stream(content, partial, progress, most_bytes)
        return verified(partial, content.sha256, target.name)
    except ChecksumMismatch:
        if not resumed:
            raise
    # What an earlier run had left was to blame: a loss of power keeps the length, not the bytes.
    _stream(content, partial, progress, most_bytes)
    return verified(partial, content.sha256, target.name)


def verified(partial: Path, sha256: str | None, name: str) -> Path:
    """A file that has the right hash; a wrong one is deleted.

    Raises:
        ChecksumMismatch: If it was the wrong one.
    """
    actual = sha256_of(partial)
    if actual != sha256:
        partial.unlink()
        raise ChecksumMismatch(f"{name}: expected sha256 {sha256}, got {actual}; nothing was kept")
    return partial


def site_of(url: str) -> str:
    """Host and port of an address: what may be shown of it, where the rest may be a secret."""
    return httpx.URL(url).netloc.decode()


def status_of(answer: httpx.Response) -> str:
    """An answer's status in words, without the address that httpx would add."""
    return f"status {answer.status_code} {answer.reason_phrase}".strip()


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _stream(content: Content, partial: Path, progress: Progress, most_bytes: int) -> None:
    """Append to a partial file what it still lacks."""
    done = _size(partial)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with httpx.stream(
        "GET", content.url, headers=headers, follow_redirects=True, timeout=TIMEOUT_S
    ) as answer:
        if done and answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # it is all there; the hash will tell
        if not answer.is_success:
            raise DownloadFailed(f"{status_of(answer)} from {answer.url.host}")
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            done = 0
        total = content.size_bytes or done + int(answer.headers.get("content-length", 0))
        with partial.open("ab" if done else "wb") as out:
            for chunk in answer.iter_bytes(CHUNK_BYTES):
                done += len(chunk)
                if done > most_bytes:
                    break
                out.write(chunk)
                progress(done, total)
    if done > most_bytes:
        partial.unlink()
        raise ChecksumMismatch(
            f"{content.url.rpartition('/')[2].partition('?')[0]} is larger than the "
            f"{most_bytes} bytes it may have; nothing was kept"
        )
