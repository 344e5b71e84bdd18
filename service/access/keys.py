"""API keys: how one is made, and how a key that a caller shows is found and compared.

A key is `bgr_<id>_<secret>`. The secret has 256 random bits, so a plain SHA-256 of the key is
enough to store: there is nothing to guess that a slow hash would have to protect.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

KeyTier: TypeAlias = Literal["free", "basic", "pro"]

_ID_BYTES = 6
_SECRET_BYTES = 32
_KEY = re.compile(rf"bgr_([0-9a-f]{{{2 * _ID_BYTES}}})_[A-Za-z0-9_-]{{43}}")


class KeyEntry(BaseModel):
    """One API key as it is stored; the key itself cannot be had from it.

    Attributes:
        id: What the key is called in the log, in metrics and by its operator.
        sha256: Hash of the whole key, hexadecimal.
        name: Whose it is, in the operator's words.
        tier: What its callers may send.
        created: When it was made.
        revoked: When it stopped to count, or None while it counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(pattern=rf"^[0-9a-f]{{{2 * _ID_BYTES}}}$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    name: str
    tier: KeyTier
    created: AwareDatetime
    revoked: AwareDatetime | None = None


def make_key(name: str, tier: KeyTier, taken: Collection[str] = ()) -> tuple[str, KeyEntry]:
    """Make a new key.

    Args:
        name: Whose it is.
        tier: What its callers may send.
        taken: Ids of other keys.

    Returns:
        The key, which is nowhere else, and its entry.
    """
    key_id = secrets.token_hex(_ID_BYTES)
    while key_id in taken:
        key_id = secrets.token_hex(_ID_BYTES)
    key = f"bgr_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    created = datetime.now(UTC).replace(microsecond=0)
    return key, KeyEntry(id=key_id, sha256=_sha256(key), name=name, tier=tier, created=created)


@dataclass(frozen=True)
class _Compared:
    """What a shown key is compared with; entry is None where no key of that id counts."""

    sha256: str
    entry: KeyEntry | None


class KeyRing:
    """The keys that count.

    Args:
        entries: All that are known; revoked ones are left out.
    """

    def __init__(self, entries: Iterable[KeyEntry] = ()) -> None:
        self._known = {
            entry.id: _Compared(entry.sha256, entry) for entry in entries if entry.revoked is None
        }
        # Of random bytes that nobody keeps: no key has this hash.
        self._nobody = _Compared(_sha256(secrets.token_hex(_SECRET_BYTES)), None)

    def find(self, shown: str) -> KeyEntry | None:
        """The entry of a key that somebody shows, or None.

        Whatever is shown, the same is done: one hash, one look-up, one comparison whose time does
        not depend on where two hashes differ. An unknown id is compared with a hash of nobody's.
        """
        form = _KEY.fullmatch(shown)
        known = self._known.get(form[1] if form else "", self._nobody)
        same = hmac.compare_digest(_sha256(shown), known.sha256)
        return known.entry if same else None


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
