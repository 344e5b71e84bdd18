"""Gives every row its turn: it begins if there is time, has a limit of its own, and may fail."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from scripts.gpu_check.device import DeviceBroken, require_device
from scripts.gpu_check.limit import TimeIsUp, time_limit
from scripts.gpu_check.report import Report, SomeRow

#: What one row may take.
ROW_S = 60.0


class Turns:
    """The time of a run, shared out among rows.

    Args:
        report: Where rows go.
        deadline: When to stop, on the monotonic clock.
    """

    def __init__(self, report: Report, deadline: float) -> None:
        self._report, self._deadline = report, deadline

    def left_s(self) -> float:
        """Seconds until the deadline."""
        return self._deadline - time.monotonic()

    def to_do(self, rows: Sequence[SomeRow], needs_s: float) -> list[SomeRow]:
        """Those rows that are not in the report and have time; notes those that have not."""
        rows = [row for row in rows if not self._report.has(*row.key)]
        left_s = self.left_s()
        if left_s < needs_s:
            why = f"skipped: {left_s:.0f} s left, {needs_s:.0f} needed"
            rows = [replace(row, status=why) for row in rows]
        for row in rows:
            if not row.was_tried:
                self._report.add(row)
        return [row for row in rows if row.was_tried]

    @contextmanager
    def guard(self, *rows: SomeRow, limit_s: float = ROW_S) -> Iterator[None]:
        """Whatever happens to these rows, the next ones get their turn.

        Args:
            rows: What is tried within; those that are not in the report at the end fail.
            limit_s: How long it may take, if that much is left.

        Raises:
            DeviceBroken: If the device answers nothing any more.
        """
        why = ""
        try:
            with time_limit(max(1.0, min(limit_s, self.left_s()))):
                yield
        except DeviceBroken:
            raise
        except (Exception, TimeIsUp) as failure:  # a row may meet anything
            words = " ".join(str(failure).split())[:160] or "no message"
            why = f"failed: {type(failure).__name__}: {words}"
            traceback.clear_frames(failure.__traceback__)  # they hold device memory
        if why:
            for row in rows:
                if not self._report.has(*row.key):
                    self._report.add(replace(row, status=why))
            require_device()
