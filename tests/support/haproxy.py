"""A real HAProxy with a configuration of deploy/, in front of servers of this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scripts.replicas.balancer import with_servers
from tests.support.server import free_port

#: Debian keeps it where not every PATH leads.
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def check(configuration: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What HAProxy says of a configuration, as it is."""
    assert HAPROXY, "there is no haproxy here"
    command = [HAPROXY, "-c", "-f", str(configuration)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@contextmanager
def in_front_of(ports: Sequence[int], configuration: Path, folder: Path) -> Iterator[int]:
    """HAProxy before servers on ports of 127.0.0.1, which stand where names would be; its port."""
    assert HAPROXY, "there is no haproxy here"
    port = free_port()
    text = re.sub(r"bind :\d+", f"bind 127.0.0.1:{port}", configuration.read_text())
    text = with_servers(text, {f"s{one}": f"127.0.0.1:{one}" for one in ports})
    (folder / "haproxy.cfg").write_text(text)
    process = subprocess.Popen([HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")])
    try:
        time.sleep(1)
        assert process.poll() is None
        yield port
    finally:
        process.kill()
        process.wait()
