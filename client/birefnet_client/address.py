"""Where the service is and which key is shown, given or from the environment."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = "/api/background-removal"
SERVER = "http://localhost:55433"
#: Names in the environment. No command takes a key among its words, which every user can list.
SERVER_VARIABLE = "BIREFNET_URL"
KEY_VARIABLE = "BIREFNET_API_KEY"
KEY_FILE_VARIABLE = "BIREFNET_API_KEY_FILE"


def find_server(given: str | None) -> str:
    """Address of the API: what is given, what the environment says, or this machine.

    Raises:
        ValueError: If it is no address.
    """
    address = (given or os.environ.get(SERVER_VARIABLE) or SERVER).strip().rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the server's address must begin with http:// or https://")
    if parts.username or parts.password:
        raise ValueError("the server's address must hold no user and no password")
    return address if address.endswith(PREFIX) else address + PREFIX


def names_server() -> bool:
    """Whether the environment names a service."""
    return bool(os.environ.get(SERVER_VARIABLE))


def find_key(given: str | None) -> str | None:
    """The API key: what is given, or what the environment or the file it names says.

    Raises:
        ValueError: If it is none that a header may hold; the key itself is not shown.
        OSError: If the file cannot be read.
    """
    key = given or os.environ.get(KEY_VARIABLE)
    if not key and (file := os.environ.get(KEY_FILE_VARIABLE)):
        key = Path(file).read_text(encoding="utf-8")
    key = (key or "").strip()
    if not all("!" <= character <= "~" for character in key):
        raise ValueError("the API key holds characters that no key has; was it copied whole?")
    return key or None
