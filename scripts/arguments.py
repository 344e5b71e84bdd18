"""Values of a command line that argparse itself does not check."""

from __future__ import annotations

from argparse import ArgumentTypeError


def positive(word: str) -> int:
    """Read a whole number of at least 1.

    Raises:
        ArgumentTypeError: If it is not one.
    """
    number = int(word) if word.isascii() and word.isdigit() else 0
    if number < 1:
        raise ArgumentTypeError(f"{word} is no whole number of at least 1")
    return number
