"""The one error: why a picture came to nothing, in the service's own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Nobody answered, or the connection broke.
CONNECTION_LOST = "CONNECTION_LOST"
#: Somebody answered who is not the service: a proxy, another program.
NOT_OURS = "NOT_OURS"
#: The client was closed while it waited.
CLOSED = "CLOSED"
#: A file here cannot be read or written.
FILE_ERROR = "FILE_ERROR"

_PASSING = (408, 429, 503)
_NEVER = ("TASKS_DISABLED",)  # 503, and trying again does not help


class RemovalError(Exception):
    """What was asked for was not done.

    Args:
        code: The service's `error_code`; or `CONNECTION_LOST`, `NOT_OURS`, `CLOSED`, `FILE_ERROR`.
        detail: A sentence for people.
        status: HTTP status; 0 where there was no answer.
        request_id: What the operator finds it by; empty where there was no answer.
        retry_after_s: Seconds to wait, where the service told.
        fields: What else the service told, by the names in its list of errors.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int = 0,
        request_id: str = "",
        retry_after_s: float | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.fields = dict(fields or {})

    @property
    def is_passing(self) -> bool:
        """Whether the same may succeed later."""
        if self.code == NOT_OURS:
            return self.status >= 502
        return self.code == CONNECTION_LOST or (self.status in _PASSING and self.code not in _NEVER)

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors travel between processes, too."""
        return _made_again, (self.args[0], self.__dict__)


def _made_again(detail: str, members: Mapping[str, Any]) -> RemovalError:
    error = RemovalError(CLOSED, detail)
    error.__dict__.update(members)
    return error
