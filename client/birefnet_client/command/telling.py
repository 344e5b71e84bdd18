"""Tells how far the work is: a bar on a terminal, a line for each picture, or JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from typing import Any

from birefnet_client.errors import RemovalError
from birefnet_client.folders import Done

_WIDTH = 24


class Teller:
    """Counts what is done, and tells it.

    Args:
        total: How many there are.
        as_json: Whether stdout is read by a program.
        has_stdout: Whether stdout is free; a picture may go there.

    Attributes:
        counts: How many are `done`, `skipped` and `failed`.
    """

    def __init__(self, total: int, *, as_json: bool, has_stdout: bool = True) -> None:
        self.counts = Counter[str]()
        self._total, self._as_json, self._has_stdout = total, as_json, has_stdout
        self._bar = sys.stderr.isatty() and not as_json and total > 1
        self._began = time.monotonic()

    def tell(self, done: Done) -> None:
        """Tell of one picture."""
        state = "failed" if done.error else "skipped" if done.skipped else "done"
        self.counts[state] += 1
        if self._as_json:
            _print_json(_entry(done, state))
        elif not self._bar and self._has_stdout and not done.error:
            _print(f"{done.target}{' (was there)' if done.skipped else ''}")
        if done.error is not None and not self._as_json:
            self._clear()
            complain(f"{done.source}: {sentence_of(done.error)}")
        self._draw()

    def finish(self) -> None:
        """Tell the sums."""
        self._clear()
        counts = self.counts
        left = self._total - sum(counts.values())
        sums = {name: counts[name] for name in ("done", "skipped", "failed")}
        if self._as_json:
            _print_json({"status": "finished", **sums, "left": left})
        elif self._total > 1:
            told = f"{counts['done']} done, {counts['skipped']} were there"
            told += f", {counts['failed']} failed" + (f", {left} left" if left else "")
            complain(told)

    def _draw(self) -> None:
        if not self._bar:
            return
        so_far = sum(self.counts.values())
        full = round(_WIDTH * so_far / self._total)
        rate = so_far / max(time.monotonic() - self._began, 1e-3)
        bar = "#" * full + "." * (_WIDTH - full)
        sys.stderr.write(f"\r[{bar}] {so_far}/{self._total}  {rate:.1f}/s ")
        sys.stderr.flush()

    def _clear(self) -> None:
        if self._bar:
            sys.stderr.write("\r\x1b[K")


def sentence_of(error: RemovalError) -> str:
    """An error in one line: what, its code, and what the operator finds it by."""
    known = f" (request {error.request_id})" if error.request_id else ""
    return f"{' '.join(error.detail.split())} [{error.code}]{known}"


def complain(sentence: str) -> None:
    """A line on stderr."""
    print(f"birefnet: {_shown(sentence)}", file=sys.stderr, flush=True)


def _print(line: str) -> None:
    print(_shown(line), flush=True)


def _print_json(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


def _shown(text: str) -> str:
    """A name that is no text, or steers a terminal, is shown and does nothing."""
    readable = os.fsencode(text).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in readable)


def _entry(done: Done, state: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"status": state, "source": str(done.source)}
    if done.error is not None:
        error = done.error
        entry |= {"error_code": error.code, "detail": error.detail, "http_status": error.status}
        return entry | {"request_id": error.request_id}
    entry["target"] = str(done.target)
    if done.info is not None:
        info = done.info
        entry |= {"model": info.model, "engine": info.engine, "took_ms": info.took_ms}
        entry |= {"subject_found": info.subject_found, "request_id": info.request_id}
    return entry
