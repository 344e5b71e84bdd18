"""A table in Markdown. Imports nothing: `scripts.gpu_check` runs where little is installed."""

from __future__ import annotations

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]], words: int = 1, padded: bool = False) -> list[str]:
    """Lines of a Markdown table.

    Args:
        rows: Cells; the first row is the heading, and a shorter one is filled up.
        words: How many columns hold words; the others hold numbers, which stand to the right.
        padded: Whether cells are filled up with blanks, to be read as they stand.
    """
    width = len(rows[0])
    full = [[*row, *[""] * (width - len(row))] for row in rows]
    widths = [max(map(len, column)) if padded else 3 for column in zip(*full, strict=True)]

    def line(row: Sequence[str]) -> str:
        if padded:
            row = [
                cell.ljust(n) if at < words else cell.rjust(n)
                for at, (cell, n) in enumerate(zip(row, widths, strict=True))
            ]
        return f"| {' | '.join(row)} |"

    rule = ["-" * n if at < words else "-" * (n - 1) + ":" for at, n in enumerate(widths)]
    return [line(full[0]), line(rule), *map(line, full[1:])]
