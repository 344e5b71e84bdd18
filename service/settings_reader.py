"""Reads the settings an operator has made, from the environment and `.env`."""

from __future__ import annotations

import difflib
import os

from dotenv import dotenv_values
from pydantic import ValidationError

from service.env_file import env_file_encoding, env_file_faults
from service.errors import CannotStart
from service.settings import ENV_FILE, PREFIX, Settings, variable

# Of the client, which may run in the same environment.
_OF_THE_CLIENT = frozenset(f"{PREFIX}{name}" for name in ("URL", "API_KEY", "API_KEY_FILE"))


def read_settings() -> Settings:
    """Read the environment and `.env`.

    Raises:
        CannotStart: With one sentence per fault, if a variable is misspelt or its value is not one
            it takes.
    """
    unreadable = env_file_faults(ENV_FILE)
    if unreadable:
        raise CannotStart(*unreadable)
    faults = _misspelt()
    try:
        settings = Settings(_env_file_encoding=env_file_encoding(ENV_FILE))
    except ValidationError as invalid:
        faults += [_sentence(error["loc"], error["msg"]) for error in invalid.errors()]
    if faults:
        raise CannotStart(*faults)
    return settings


def _misspelt() -> list[str]:
    """Variables that look like ours and are not; pydantic-settings lets them pass in silence."""
    # Compared without the prefix, which would make any two of them look alike.
    known = {name.removeprefix(PREFIX): name for name in map(variable, Settings.model_fields)}
    faults = []
    for name in (*os.environ, *dotenv_values(ENV_FILE, encoding=env_file_encoding(ENV_FILE))):
        bare = name.upper().removeprefix(PREFIX)
        is_ours = name.upper().startswith(PREFIX) and name.upper() not in _OF_THE_CLIENT
        if is_ours and known.get(bare) != name.upper():
            near = difflib.get_close_matches(bare, known, n=1)
            hint = f"; did you mean {known[near[0]]}?" if near else ""
            faults.append(f"{name} is not a setting{hint}")
    return faults


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    """One fault of pydantic as one sentence."""
    message = message.removeprefix("Value error, ")
    if not location:
        return message
    name = str(location[0])
    return f"{name if name.isupper() else variable(name)}: {message}"
