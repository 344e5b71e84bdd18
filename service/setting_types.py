"""Kinds of settings that are more than a number or a text, and what each refuses."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from service.outbound.destinations import read_destination

_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")


def _split(value: object) -> object:
    """`a, b` is two entries."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _check_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        ipaddress.ip_network(entry, strict=False)
    return value


def _check_destinations(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        read_destination(entry)
    return value


def _check_host_names(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        if not _HOST_NAME.fullmatch(entry):
            raise ValueError(f"{entry} is no host name; write it without scheme, port and path")
    return tuple(entry.lower() for entry in value)


def _read_address(value: str) -> str:
    """BentoML takes no names, and says so in five lines."""
    return str(ipaddress.ip_address("127.0.0.1" if value == "localhost" else value))


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Networks = Annotated[Names, AfterValidator(_check_networks)]
Destinations = Annotated[Names, AfterValidator(_check_destinations)]
HostNames = Annotated[Names, AfterValidator(_check_host_names)]
Address = Annotated[str, AfterValidator(_read_address)]
