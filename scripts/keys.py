"""Make, list and revoke API keys; a running service notices within a second.

`python -m scripts.keys add --name NAME --tier basic` prints the new key once: it is stored nowhere.
`python -m scripts.keys list` and `python -m scripts.keys revoke ID` never need a key itself.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from scripts.command import Unusable, run_command
from service.access.key_file import BrokenKeyFile, changing, read_key_file
from service.access.keys import KeyTier, make_key
from service.settings_reader import read_settings


def main(arguments: list[str] | None = None) -> int:
    """Parse, and do what is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--file", type=Path, help="the file of keys; otherwise that of BIREFNET_KEYS_FILE"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="make a key and print it")
    adding.add_argument("--name", required=True, help="whose it is")
    adding.add_argument("--tier", choices=get_args(KeyTier), default="free")
    commands.add_parser("list", help="print all keys, without their secrets")
    revoking = commands.add_parser("revoke", help="let a key count no more")
    revoking.add_argument("id", help="of the key, as it is listed")
    options = parser.parse_args(arguments)
    file = options.file or read_settings().keys_file
    if file is None:
        raise Unusable("no file of API keys is named; set BIREFNET_KEYS_FILE, or give --file")
    try:
        if options.command == "add":
            _add(file, options.name, options.tier)
        elif options.command == "list":
            _list(file)
        else:
            _revoke(file, options.id)
    except BrokenKeyFile as broken:
        raise Unusable(str(broken)) from broken
    return 0


def _add(file: Path, name: str, tier: KeyTier) -> None:
    if not name.isprintable():
        raise Unusable("a name is one line of printable characters")
    with changing(file) as keys:
        key, entry = make_key(name, tier, [known.id for known in keys])
        keys.append(entry)
    print(key)


def _list(file: Path) -> None:
    for key in read_key_file(file):
        revoked = f", revoked {key.revoked:%Y-%m-%d}" if key.revoked else ""
        print(f"{key.id}  {key.tier:5}  made {key.created:%Y-%m-%d}{revoked}  {key.name}")


def _revoke(file: Path, key_id: str) -> None:
    read_key_file(file)  # a mistyped path shall not make a file
    with changing(file) as keys:
        places = [place for place, key in enumerate(keys) if key.id == key_id]
        if not places:
            raise Unusable(f"no key has the id {key_id!r}; list shows them")
        (place,) = places
        if keys[place].revoked is None:
            now = datetime.now(UTC).replace(microsecond=0)
            keys[place] = keys[place].model_copy(update={"revoked": now})
    print(f"{key_id} is revoked")


if __name__ == "__main__":
    run_command(main)
