"""What DBOS may log: through our log, and nothing that tells of a task."""

from __future__ import annotations

import logging
import re

_SHOWN = 120  # of a message; some hold all of a task
_TASK_ID = re.compile(r"[0-9a-f]{32}")


class _WithoutIds(logging.Filter):
    """Takes from DBOS's records what tells of a task: who has its id has its picture."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, with its message alone."""
        record.msg, record.args = _TASK_ID.sub("...", record.getMessage())[:_SHOWN], ()
        record.exc_info = record.exc_text = None
        return True


def quieten() -> None:
    """Have DBOS log through ours, with neither a handler of its own nor an id."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.addFilter(_WithoutIds())
