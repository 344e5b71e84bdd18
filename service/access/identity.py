"""Who calls: the owner of the API key that a request shows, else whoever is at its address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.access.caller import Caller, client_key
from service.access.key_file import KeyFile
from service.errors import ApiKeyRequired, ConflictingApiKeys, InvalidApiKey, RequestError

_SCHEME = "bearer"


@dataclass(frozen=True)
class Shown:
    """What a request says of who sent it.

    Attributes:
        peer: Address at the other end of its connection.
        forwarded_for: Values of `X-Forwarded-For`.
        api_keys: Values of `X-API-Key`.
        authorizations: Values of `Authorization`.
    """

    peer: str
    forwarded_for: Sequence[str] = ()
    api_keys: Sequence[str] = ()
    authorizations: Sequence[str] = ()


@dataclass(frozen=True)
class Identity:
    """Who sent a request.

    Attributes:
        caller: Whose limits it counts against.
        fault: Why it may not do what counts, or None. Its caller is then the one at its address:
            a key that is not known never has limits of its own.
    """

    caller: Caller
    fault: RequestError | None = None


class Identifier:
    """Tells who sent a request.

    Args:
        trusted_proxies: Networks whose `X-Forwarded-For` is believed.
        keys: The API keys; None where none are taken, and what is shown as one is not looked at.
        require_key: Whether a request without a key is refused.
    """

    def __init__(
        self,
        trusted_proxies: Sequence[str] = (),
        keys: KeyFile | None = None,
        require_key: bool = False,
    ) -> None:
        self._trusted = trusted_proxies
        self._keys = keys
        self._require_key = require_key

    def identify(self, shown: Shown) -> Identity:
        """Who sent a request."""
        somebody = Caller(client_key(shown.peer, shown.forwarded_for, self._trusted))
        if self._keys is None:
            return Identity(somebody)
        keys = {*shown.api_keys, *_bearers(shown.authorizations)}
        if not keys:
            return Identity(somebody, ApiKeyRequired() if self._require_key else None)
        if len(keys) > 1:
            return Identity(somebody, ConflictingApiKeys())
        entry = self._keys.find(keys.pop())
        if entry is None:
            return Identity(somebody, InvalidApiKey())
        return Identity(Caller(f"key:{entry.id}", entry.tier, entry.id))


def _bearers(authorizations: Sequence[str]) -> list[str]:
    """Tokens of the scheme Bearer; other schemes are of proxies, and are let pass."""
    split = (value.strip().partition(" ") for value in authorizations)
    return [token.strip() for scheme, _, token in split if scheme.lower() == _SCHEME]
