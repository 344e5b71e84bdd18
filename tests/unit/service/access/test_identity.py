"""Who sent a request: by key, by address, and what of a key is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.access.caller import Caller
from service.access.identity import Identifier, Identity, Shown
from service.access.key_file import KeyFile, changing
from service.access.keys import make_key
from service.errors import ApiKeyRequired, ConflictingApiKeys, InvalidApiKey

SOMEBODY = Caller("192.0.2.1")
WRONG = "bgr_000000000000_" + "A" * 43


@pytest.fixture
def issued(tmp_path: Path) -> tuple[KeyFile, str, str]:
    """A file with one key, the key, and its id."""
    file = tmp_path / "keys.json"
    with changing(file) as keys:
        key, entry = make_key("somebody", "pro")
        keys.append(entry)
    return KeyFile(file), key, entry.id


def who(identifier: Identifier, *api_keys: str, bearer: str | None = None) -> Identity:
    authorizations = [bearer] if bearer is not None else []
    return identifier.identify(Shown("192.0.2.1", api_keys=api_keys, authorizations=authorizations))


def test_a_key_counts_in_either_header_and_in_both(issued: tuple[KeyFile, str, str]) -> None:
    keys, key, key_id = issued
    identifier, expected = Identifier(keys=keys), Identity(Caller(f"key:{key_id}", "pro", key_id))
    assert who(identifier, key) == expected
    assert who(identifier, bearer=f"Bearer {key}") == expected
    assert who(identifier, bearer=f"bearer  {key} ") == expected
    assert who(identifier, key, bearer=f"Bearer {key}") == expected
    assert who(identifier, key, key) == expected


def test_a_wrong_key_is_refused_and_stays_the_caller_of_its_address(
    issued: tuple[KeyFile, str, str],
) -> None:
    identifier = Identifier(keys=issued[0])
    for identity in (
        who(identifier, WRONG),
        who(identifier, ""),
        who(identifier, bearer=f"Bearer {WRONG}"),
        who(identifier, bearer="Bearer"),
    ):
        assert identity.caller == SOMEBODY
        assert isinstance(identity.fault, InvalidApiKey)


def test_two_different_keys_are_refused_by_name(issued: tuple[KeyFile, str, str]) -> None:
    keys, key, _ = issued
    identifier = Identifier(keys=keys)
    for identity in (
        who(identifier, key, bearer=f"Bearer {WRONG}"),
        who(identifier, WRONG, bearer=f"Bearer {key}"),
        who(identifier, key, WRONG),
    ):
        assert identity.caller == SOMEBODY
        assert isinstance(identity.fault, ConflictingApiKeys)


def test_without_a_key_one_is_anonymous_unless_keys_are_required(
    issued: tuple[KeyFile, str, str],
) -> None:
    assert who(Identifier(keys=issued[0])) == Identity(SOMEBODY)
    strict = who(Identifier(keys=issued[0], require_key=True))
    assert strict.caller == SOMEBODY
    assert isinstance(strict.fault, ApiKeyRequired)


def test_a_proxys_own_password_is_no_key(issued: tuple[KeyFile, str, str]) -> None:
    assert who(Identifier(keys=issued[0]), bearer="Basic dXNlcjpwYXNz") == Identity(SOMEBODY)


def test_a_service_without_keys_looks_at_none(issued: tuple[KeyFile, str, str]) -> None:
    assert who(Identifier(), issued[1]) == Identity(SOMEBODY)
    assert who(Identifier(), bearer="Bearer of.somebody.else") == Identity(SOMEBODY)
