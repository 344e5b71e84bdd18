"""HAProxy with a configuration of deploy/: what servers it is given, and what it says."""

from __future__ import annotations

import csv
import re
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.command import Unusable

_TEMPLATES = re.compile(r"( +server-template .*\n)+")
_LOG = "log stdout format raw local0"
_FORMAT = 'log-format "request %s %ST %ts %Tt"'
_LINE = re.compile(r"^request (\S+) (\d+|-1) (\S+) (\d+)$", re.MULTILINE)


def find_haproxy() -> str:
    """The program; Debian keeps it where not every PATH leads.

    Raises:
        Unusable: If there is none.
    """
    found = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        raise Unusable("there is no haproxy here; Debian's package is called haproxy")
    return found


def with_servers(configuration: str, servers: Mapping[str, str]) -> str:
    """A configuration with servers that are known by address where it has names to be looked up.

    Args:
        configuration: Text of one of deploy/.
        servers: Address and port of each, by name.

    Raises:
        Unusable: If it asks for no names.
    """
    lines = "".join(f"    server {name} {address}\n" for name, address in servers.items())
    text, found = _TEMPLATES.subn(lines, configuration)
    if not found:
        raise Unusable("the configuration has no server-template")
    return text


def observed(configuration: str, door: Path) -> str:
    """A configuration that also says a line for each request, and answers questions.

    Args:
        configuration: Text of one of deploy/.
        door: Path of the socket for `servers_up`.
    """
    text = configuration.replace(
        "global\n", f"global\n    {_LOG}\n    stats socket {door} mode 600\n", 1
    )
    return text.replace("defaults\n", f"defaults\n    log global\n    {_FORMAT}\n", 1)


def servers_up(door: Path) -> set[str]:
    """Names of the servers that HAProxy sends requests to."""
    with socket.socket(socket.AF_UNIX) as asking, asking.makefile("rwb") as both:
        asking.connect(str(door))
        both.write(b"show stat\n")
        both.flush()
        table = both.read().decode().removeprefix("# ")
    rows = csv.DictReader(table.splitlines())
    return {row["svname"] for row in rows if row["type"] == "2" and row["status"].startswith("UP")}


@dataclass(frozen=True)
class Passed:
    """What HAProxy did with one request.

    Attributes:
        server: Who got it; `<NOSRV>` for nobody.
        status: What the caller was answered; -1 for nothing.
        ended: How it ended, in two letters of HAProxy's manual; `--` is well.
        took_ms: Milliseconds.
    """

    server: str
    status: int
    ended: str
    took_ms: int

    @property
    def was_answered_by_proxy(self) -> bool:
        """Whether the answer was HAProxy's own."""
        return self.ended[0] in "SP" and self.status >= 500


def read_log(log: Path) -> list[Passed]:
    """Every request that HAProxy has written a line of."""
    found = _LINE.findall(log.read_text(errors="replace"))
    return [Passed(name, int(status), end, int(took)) for name, status, end, took in found]
