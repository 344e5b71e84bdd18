"""Kinds of values that settings have, and how each is read of its text."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from service.outbound.destinations import read_destination

_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_STORAGES = ("file", "s3", "gs", "az")


def _split(value: object) -> object:
    """`a, b` is two entries."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        ipaddress.ip_network(entry, strict=False)
    return value


def _destinations(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        read_destination(entry)
    return value


def _host_names(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        if not _HOST_NAME.fullmatch(entry):
            raise ValueError(f"{entry} is no host name; write it without scheme, port and path")
    return tuple(entry.lower() for entry in value)


def _different(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) < len(value):
        raise ValueError("a model is named twice")
    return value


def _address(value: str) -> str:
    """BentoML takes no names, and says so in five lines."""
    return str(ipaddress.ip_address("127.0.0.1" if value == "localhost" else value))


def _storage(value: str) -> str:
    scheme, mark, _ = value.partition("://")
    if mark and scheme not in _STORAGES:
        raise ValueError("a folder, or an address with file://, s3://, gs:// or az://")
    return value


def _tasks(value: str) -> str:
    if value.lower() in ("off", "sqlite"):
        return value.lower()
    if re.fullmatch(r"sqlite:////.+|postgres(ql)?://.+", value) is None:
        raise ValueError("off, sqlite, sqlite:////an/absolute/path or postgresql://...")
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


#: Entries, separated by commas.
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
ModelNames = Annotated[Names, AfterValidator(_different)]
Networks = Annotated[Names, AfterValidator(_networks)]
#: Servers of the operator's own, in numbers.
Destinations = Annotated[Names, AfterValidator(_destinations)]
HostNames = Annotated[Names, AfterValidator(_host_names)]
#: An address to listen on.
Address = Annotated[str, AfterValidator(_address)]
#: A folder, or the address of a bucket.
StorageAddress = Annotated[str, AfterValidator(_storage)]
#: Where tasks are kept, if they are; as those below, it may hold a secret, and is not printed.
TasksAddress = Annotated[str, AfterValidator(_tasks), Field(repr=False)]
RedisAddress = Annotated[str, Field(pattern=r"^((redis|rediss|redis\+unix)://.+)?$", repr=False)]
Key = Annotated[str, Field(pattern="^([0-9a-fA-F]{64})?$", repr=False)]
CollectorAddress = Annotated[str, Field(pattern=r"^(https?://[^\s/?#][^\s?#]*)?$", repr=False)]
#: A path that may begin with `~`.
HomePath = Annotated[Path, AfterValidator(Path.expanduser)]
#: Of a word that may be written in any case.
AnyCase = BeforeValidator(_lower)
