"""What a caller is willing to be answered with: the `Accept` header (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

_MOST_RANGES = 32


def accepted(header: str, offers: Sequence[str]) -> str | None:
    """The first of several media types that a caller accepts.

    The order of the offers decides, not the caller's weights: many clients weigh `application/json`
    highest without a thought, and would no longer get the picture they ask for.

    Args:
        header: Value of `Accept`; empty accepts everything.
        offers: Media types, the preferred one first.

    Returns:
        The media type, or None if none is accepted.
    """
    if not header.strip():
        return offers[0]
    ranges = [_range(text) for text in header.lower().split(",")[:_MOST_RANGES]]
    return next((offer for offer in offers if _accepts(ranges, offer)), None)


def _range(text: str) -> tuple[str, bool]:
    """One range of media types, and whether it is welcome (`q=0` means it is not)."""
    name, *parameters = (piece.strip() for piece in text.split(";"))
    weights = [piece.partition("=")[2].strip() for piece in parameters if piece.startswith("q")]
    return name, not any(weight.strip("0.") == "" for weight in weights)


def _accepts(ranges: Sequence[tuple[str, bool]], offer: str) -> bool:
    """Whether the most specific range that fits an offer welcomes it."""
    kind = offer.partition("/")[0]
    for name in (offer, f"{kind}/*", "*/*"):
        welcome = [is_welcome for given, is_welcome in ranges if given == name]
        if welcome:
            return any(welcome)
    return False
