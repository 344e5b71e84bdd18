"""Asks a model hub for the commit, digest, size and address of a file.

No digest of a BiRefNet checkpoint is published but by the hub itself, so the hub is asked first,
and what arrives is checked against its answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx

from models.checkpoints.http_download import TIMEOUT_S, status_of
from models.errors import DownloadFailed
from models.spec import HubSource

HUB_URL = "https://huggingface.co"
_MOST_REDIRECTS = 5
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PRIVATE = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)


@dataclass(frozen=True)
class HubFile:
    """What a hub says of one file.

    Attributes:
        url: Address of exactly this content.
        commit: Commit the revision stands for; the revision itself where a mirror names none.
        sha256: Digest of the content, or None where a mirror names none.
        size_bytes: Size of the content, or None likewise.
    """

    url: str
    commit: str
    sha256: str | None
    size_bytes: int | None


def ask_hub(source: HubSource, revision: str, hub_url: str = HUB_URL) -> HubFile:
    """Ask a hub what a file is at a revision.

    The hub answers a HEAD with a redirect to its storage, and says in the headers of that very
    answer what lies there: `X-Repo-Commit`, `X-Linked-ETag` (of a large file the sha256) and
    `X-Linked-Size`. A repository that was renamed redirects first, without them.

    Args:
        source: Repository and file.
        revision: Branch, tag or commit.
        hub_url: The hub, or a mirror that answers as it does.

    Returns:
        The file, at the commit the revision stands for.

    Raises:
        DownloadFailed: If the hub has no such file, or refuses; says which.
        httpx.HTTPError: If it does not answer.

    Source:
        huggingface/huggingface_hub@003956d ``src/huggingface_hub/file_download.py``
        (get_hf_file_metadata) and ``constants.py``.
    """
    answer = _head(address_of(source, revision, hub_url))
    if answer.is_error:
        raise DownloadFailed(_refusal(answer, source, revision))
    headers = answer.headers
    commit = headers.get("x-repo-commit", revision)
    # Not the plain ETag: of a small file it is no sha256, and any server may send any.
    digest = headers.get("x-linked-etag", "").removeprefix("W/").strip('"')
    size = headers.get("x-linked-size", "")
    return HubFile(
        url=address_of(source, commit, hub_url),
        commit=commit,
        sha256=digest if _SHA256.fullmatch(digest) else None,
        size_bytes=int(size) if size.isdecimal() else None,
    )


def is_commit(revision: str) -> bool:
    """Whether a revision stands for the same content for ever, as a branch does not."""
    return _COMMIT.fullmatch(revision) is not None


def address_of(source: HubSource, revision: str, hub_url: str = HUB_URL) -> str:
    """Where a file of a hub is fetched from."""
    return f"{hub_url.rstrip('/')}/{source.repository}/resolve/{revision}/{source.filename}"


def next_address(answer: httpx.Response) -> str:
    """Where a redirect leads.

    Raises:
        DownloadFailed: If nowhere, or off TLS, where anybody could announce anything.
    """
    try:
        there = answer.url.join(answer.headers["location"])
    except (KeyError, httpx.InvalidURL):
        raise DownloadFailed(f"it redirects to nowhere ({status_of(answer)})") from None
    if answer.url.scheme == "https" != there.scheme:
        raise DownloadFailed(f"it redirects from https to {there.scheme}")
    return str(there)


def _head(url: str) -> httpx.Response:
    """Follow redirects only until an answer speaks of the file."""
    for _ in range(_MOST_REDIRECTS):
        answer = httpx.head(url, headers={"Accept-Encoding": "identity"}, timeout=TIMEOUT_S)
        if not answer.is_redirect or "x-repo-commit" in answer.headers:
            return answer
        url = next_address(answer)
    raise DownloadFailed("it redirects without end")


def _refusal(answer: httpx.Response, source: HubSource, revision: str) -> str:
    """What an error of a hub means; who it was is said by the caller."""
    what = f"{source.filename} of {source.repository} at {revision}"
    if answer.status_code == httpx.codes.NOT_FOUND:
        return f"it has no {what}"
    if answer.status_code in _PRIVATE:
        return f"{what} is missing or private ({status_of(answer)})"
    return f"it cannot serve now ({status_of(answer)})"
