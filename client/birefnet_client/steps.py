"""What a call consists of, without saying who does it: steps that a runner does one by one.

A call is a generator. It yields steps, gets back what came of each, and returns its result. So the
synchronous and the asynchronous client share everything but how a step is done.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Ask:
    """Send a request; gives an `Answer`, raises `ConnectionLost`.

    Attributes:
        method: Of HTTP.
        path: Below the address of the API.
        fields: Of the form.
        files: Of the form: the field, and the file's name and bytes.
        headers: Further ones.
        query: Parameters of the address.
        may_repeat: Whether doing it twice does no harm.
    """

    method: str
    path: str
    fields: Mapping[str, str] = field(default_factory=dict)
    files: tuple[tuple[str, tuple[str, bytes]], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    may_repeat: bool = True


@dataclass(frozen=True)
class Wait:
    """Wait for some seconds."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """Read, write or compute; gives what the function returns.

    Attributes:
        do: The function.
        commits: Whether it writes something that must not be begun once all shall end.
    """

    do: Callable[[], Any]
    commits: bool = False


class Answer(NamedTuple):
    """What came back.

    Attributes:
        status: Of HTTP.
        headers: By their names in lower case.
        body: The whole of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class ConnectionLost(Exception):
    """There was no whole answer.

    Args:
        detail: Why, in a sentence that shows no secret.
        was_sent: Whether the service may have got the request.
    """

    def __init__(self, detail: str, *, was_sent: bool) -> None:
        super().__init__(detail)
        self.was_sent = was_sent


Step = Ask | Wait | Work
Steps = Generator[Step, Any, T]
