"""Files of API keys for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from service.access.key_file import changing
from service.access.keys import KeyTier, make_key

#: Looks like a key, and is nobody's.
WRONG_KEY = "bgr_000000000000_" + "A" * 43


def issue_key(file: Path, tier: KeyTier = "pro", name: str = "somebody") -> tuple[str, str]:
    """Add a key to a file, made if need be; the key and its id."""
    with changing(file) as keys:
        key, entry = make_key(name, tier, [known.id for known in keys])
        keys.append(entry)
    return key, entry.id


def revoke_key(file: Path, key_id: str) -> None:
    """Revoke a key of a file."""
    with changing(file) as keys:
        (place,) = (place for place, key in enumerate(keys) if key.id == key_id)
        keys[place] = keys[place].model_copy(update={"revoked": datetime.now(UTC)})
