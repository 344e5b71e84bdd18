"""What both clients are made of: address, key, time limits, and the calls."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import httpx

from birefnet_client.address import find_key, find_server
from birefnet_client.calls import Calls
from birefnet_client.exchange import Exchange, Pace
from birefnet_client.folders import Done, plan, remove_into, suffix_of
from birefnet_client.models import Options
from birefnet_client.steps import Answer, Ask, ConnectionLost, Steps
from birefnet_client.version import __version__

_CONNECT_S = 10.0
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Paths = Iterable["str | os.PathLike[str]"]


class Connection:
    """What both clients are made of: address, key, time limits, and the calls.

    Args:
        server: Such as `http://localhost:55433`; None for `BIREFNET_URL`, else this machine.
        api_key: None for `BIREFNET_API_KEY`, or the file `BIREFNET_API_KEY_FILE`.
        timeout_s: Seconds of silence after which an answer is given up.
        patience_s: Seconds in which what may pass is tried again; a rate limit is waited for up to
            ten minutes. 0 for a single try.

    Raises:
        ValueError: If the address or the key cannot be one.
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = 600.0,
        patience_s: float = 120.0,
    ) -> None:
        super().__init__()
        self._server = find_server(server)
        self._headers = {"User-Agent": f"birefnet-client/{__version__}"}
        if key := find_key(api_key):
            self._headers["X-API-Key"] = key
        self._timeout = httpx.Timeout(timeout_s, connect=_CONNECT_S)
        self.calls = Calls(Exchange(patience_s, Pace()))

    def __repr__(self) -> str:
        """Without the key."""
        return f"{type(self).__name__}({self._server!r})"

    def request_of(self, ask: Ask) -> dict[str, Any]:
        """What httpx is told."""
        return {
            "method": ask.method,
            "url": self._server + ask.path,
            "data": dict(ask.fields) or None,
            "files": list(ask.files) or None,
            "headers": dict(ask.headers),
            "params": dict(ask.query) or None,
        }

    def loss_of(self, fault: httpx.RequestError) -> Exception:
        """What a fault of httpx is here."""
        if isinstance(fault, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
            return ValueError("a header or the address holds characters that it may not")
        reason = str(fault) or type(fault).__name__
        sent = not isinstance(fault, _NEVER_SENT)
        return ConnectionLost(f"{self._server} does not answer: {reason}", was_sent=sent)

    def jobs_of(
        self,
        paths: Paths,
        out: str | os.PathLike[str],
        resume: bool,
        overwrite: bool,
        options: Options,
    ) -> list[Steps[Done]]:
        """One call for each of many files."""
        remove = partial(self.calls.remove, options=options)
        jobs = plan(paths, out, suffix_of(options))
        return [remove_into(remove, job, resume=resume, overwrite=overwrite) for job in jobs]


def answer_of(response: httpx.Response) -> Answer:
    """An answer of httpx as steps know it."""
    headers: Mapping[str, str] = {name.lower(): text for name, text in response.headers.items()}
    return Answer(response.status_code, headers, response.content)
