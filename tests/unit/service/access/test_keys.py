"""API keys: made, found, and compared in the same way whatever is shown."""

from __future__ import annotations

import hmac
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import pytest

from service.access import keys
from service.access.keys import KeyRing, make_key

SECRET = "A" * 43


def test_a_key_has_its_id_and_256_random_bits_and_its_entry_only_a_hash() -> None:
    key, entry = make_key("somebody", "basic")
    assert re.fullmatch(rf"bgr_{entry.id}_[A-Za-z0-9_-]{{43}}", key)
    assert key.rpartition(entry.id)[2][1:] not in entry.model_dump_json()
    assert len({make_key("somebody", "free")[0] for _ in range(100)}) == 100


def test_an_id_is_never_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = iter(["0" * 12, "0" * 12, "1" * 12])
    monkeypatch.setattr(keys.secrets, "token_hex", lambda _: next(ids))
    assert make_key("somebody", "free", taken=["0" * 12])[1].id == "1" * 12


def test_a_key_is_found_and_nothing_like_it_is() -> None:
    key, entry = make_key("somebody", "pro")
    other, _ = make_key("other", "pro")
    ring = KeyRing([entry])
    assert ring.find(key) == entry
    for wrong in (
        "",
        other,
        key[:-1],
        key + "A",
        f" {key}",
        key.upper(),
        entry.sha256,
        f"bgr_{entry.id}_{SECRET}",
        f"bgr_{'0' * 12}_{key[-43:]}",
        f"{key}\n",
        "\udcff",
    ):
        assert ring.find(wrong) is None, wrong
    assert KeyRing().find(key) is None


def test_a_revoked_key_is_not_found() -> None:
    key, entry = make_key("somebody", "pro")
    gone = entry.model_copy(update={"revoked": datetime.now(UTC)})
    assert KeyRing([gone]).find(key) is None


def _steps_of(
    find: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[int], list[tuple[int, int]]]:
    """Lines of the module that a look-up runs, and the lengths of what it compares."""
    lines: list[int] = []
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def compare(one: str, other: str) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != keys.__file__:
            return None
        if event == "line":
            lines.append(frame.f_lineno)
        return trace

    before = sys.gettrace()
    with monkeypatch.context() as patched:
        patched.setattr(keys.hmac, "compare_digest", compare)
        sys.settrace(trace)
        try:
            find()
        finally:
            sys.settrace(before)
    return lines, compared


def test_whatever_is_shown_the_same_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    key, entry = make_key("somebody", "pro")
    revoked, old = make_key("before", "pro")
    ring = KeyRing([entry, old.model_copy(update={"revoked": datetime.now(UTC)})])
    right = _steps_of(lambda: ring.find(key), monkeypatch)
    assert right[1] == [(64, 64)]
    wrong = {
        "wrong secret": f"bgr_{entry.id}_{SECRET}",
        "unknown id": f"bgr_{'0' * 12}_{SECRET}",
        "revoked": revoked,
        "no key at all": "nonsense",
        "empty": "",
    }
    for name, shown in wrong.items():
        assert _steps_of(lambda shown=shown: ring.find(shown), monkeypatch) == right, name
