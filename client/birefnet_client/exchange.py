"""One request until it is answered: what is tried again, and when."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from birefnet_client.errors import CONNECTION_LOST, NOT_OURS, RemovalError
from birefnet_client.steps import Answer, Ask, ConnectionLost, Steps, Wait

_RATE_PATIENCE_S = 600.0  # a limit is counted in minutes
_LONGEST_PAUSE_S = 8.0
# Refusals after which nothing was begun.
_REFUSED = ("RATE_LIMIT_EXCEEDED", "TOO_MANY_TASKS", "QUEUE_FULL", "SERVICE_BUSY", "SHUTTING_DOWN")


class Pace:
    """How fast the service lets this client go; shared by all that it does at once.

    Args:
        clock: Seconds since some moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._not_before = 0.0

    def pause_s(self) -> float:
        """Seconds until the next request may be sent."""
        with self._lock:
            return max(0.0, self._not_before - self.clock())

    def hold(self, seconds: float) -> None:
        """Send nothing for some seconds."""
        with self._lock:
            self._not_before = max(self._not_before, self.clock() + seconds)

    def note(self, answer: Answer) -> None:
        """Learn from an answer; once the minute's share is used up, wait for the next one."""
        if answer.headers.get("x-ratelimit-remaining") == "0":
            self.hold(_until_reset_s(answer.headers))


@dataclass(frozen=True)
class Exchange:
    """How requests are repeated.

    Attributes:
        patience_s: Seconds after the first fault in which a request is tried again; a rate limit is
            waited for longer.
        pace: What the service allows.
    """

    patience_s: float
    pace: Pace = field(default_factory=Pace)

    def ask(self, ask: Ask) -> Steps[Answer]:
        """Send a request until it succeeds.

        Raises:
            RemovalError: If it is refused for good, or too often.
        """
        tries, began = 0, self.pace.clock()
        while True:
            while ask.method != "GET" and (pause := self.pace.pause_s()) > 0:
                yield Wait(pause)
            error, may_repeat = yield from self._try(ask)
            if isinstance(error, Answer):
                return error
            if not (may_repeat and error.is_passing):
                raise error
            is_rate = error.status == 429
            patience_s = max(self.patience_s, _RATE_PATIENCE_S if is_rate else 0)
            pause = max(min(0.5 * 2**tries, _LONGEST_PAUSE_S), error.retry_after_s or 0)
            if self.pace.clock() + pause > began + patience_s:
                raise error
            if is_rate:
                self.pace.hold(pause)
            yield Wait(pause)
            tries += 1

    def _try(self, ask: Ask) -> Steps[tuple[Answer | RemovalError, bool]]:
        """Send it once; the answer or the error, and whether it may be sent again."""
        try:
            answer: Answer = yield ask
        except ConnectionLost as lost:
            return _error_of_loss(lost), ask.may_repeat or not lost.was_sent
        self.pace.note(answer)
        if 200 <= answer.status < 300:
            return answer, False
        error = error_of(answer)
        return error, ask.may_repeat or error.code in _REFUSED


def send_once(ask: Ask) -> Steps[Answer]:
    """Send a request once, whatever is answered.

    Raises:
        RemovalError: If nothing is.
    """
    try:
        answer: Answer = yield ask
    except ConnectionLost as lost:
        raise _error_of_loss(lost) from lost
    return answer


def _error_of_loss(lost: ConnectionLost) -> RemovalError:
    return RemovalError(CONNECTION_LOST, str(lost))


def error_of(answer: Answer) -> RemovalError:
    """The error that an answer tells of."""
    told = _object_of(answer.body)
    code, detail = told.pop("error_code", None), told.pop("detail", None)
    request_id = told.pop("request_id", None) or answer.headers.get("x-request-id", "")
    if not isinstance(code, str):
        code, told = NOT_OURS, {}
        detail = f"the answer ({answer.status}) is not the service's own: is the address right?"
    return RemovalError(
        code,
        str(detail),
        status=answer.status,
        request_id=str(request_id),
        retry_after_s=_seconds(answer.headers.get("retry-after")),
        fields=told,
    )


def _object_of(body: bytes) -> dict[str, object]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _seconds(text: str | None) -> float | None:
    """`Retry-After`, which is a number of seconds or, from a proxy, a date."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _until_reset_s(headers: Mapping[str, str]) -> float:
    """Seconds until the service takes the next request, by the service's own clock."""
    try:
        reset = float(headers.get("x-ratelimit-reset", ""))
        now = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (TypeError, ValueError):
        return 0.0
    return min(max(0.0, reset - now), 60.0)
