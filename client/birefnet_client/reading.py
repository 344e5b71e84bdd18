"""Makes objects of the service's JSON."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from birefnet_client.models import Problem

T = TypeVar("T")


def read(kind: type[T], told: object) -> T:
    """Make an object of a kind; what a newer service tells beside is left out.

    Args:
        kind: A class of `birefnet_client.models`.
        told: Its JSON.

    Raises:
        ValueError: If something of it is missing or of another type.
    """
    made: T = _made(kind, told, kind.__name__)
    return made


def _made(kind: Any, told: object, place: str) -> Any:
    if is_dataclass(kind):
        return _object(kind, told, place)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if told is None else _made(_without_none(inner), told, place)
    if origin is list and isinstance(told, list):
        return [_made(inner[0], one, place) for one in told]
    if origin is dict and isinstance(told, dict):
        return {str(name): _made(inner[1], one, place) for name, one in told.items()}
    if kind is float and isinstance(told, int) and not isinstance(told, bool):
        return float(told)
    if isinstance(told, kind if isinstance(kind, type) else str):  # else a Literal
        return told
    raise ValueError(f"{place} is not what this client knows")


def _without_none(kinds: tuple[Any, ...]) -> Any:
    return next(kind for kind in kinds if kind is not NoneType)


def _object(kind: Any, told: object, place: str) -> Any:
    if not isinstance(told, dict):
        raise ValueError(f"{place} is not what this client knows")
    hints, members = _hints(kind), {}
    for member in fields(kind):
        name = member.name
        if name in told:
            members[name] = _made(hints[name], told[name], f"{place}.{name}")
        elif not _has_default(member):
            raise ValueError(f"{place} has no {name}")
    if kind is Problem:
        members["fields"] = {name: told[name] for name in told.keys() - members.keys()}
    return kind(**members)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _has_default(member: Field[Any]) -> bool:
    return member.default is not MISSING or member.default_factory is not MISSING
