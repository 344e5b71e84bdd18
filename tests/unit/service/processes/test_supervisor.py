"""What our supervisor leans on in BentoML and circus; look again with another version."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from pathlib import Path

import bentoml
import bentoml.serving
from bentoml._internal.utils import circus
from circus.arbiter import Arbiter
from circus.sighandler import SysHandler

SERVING = (
    Path(bentoml.__file__).parents[1] / "_bentoml_impl" / "server" / "serving.py"
).read_text()


def test_the_versions_are_those_it_was_written_for() -> None:
    assert version("bentoml") == "1.4.39"
    assert version("kantoku").startswith("0.18.")  # circus, as BentoML's authors publish it


def test_bentoml_looks_its_supervisor_up_where_it_is_replaced() -> None:
    source = inspect.getsource(circus.create_standalone_arbiter)
    assert "ThreadedArbiter if threaded else Arbiter" in source
    assert "create_standalone_arbiter(**arbiter_kwargs)" in SERVING


def test_the_hook_of_a_deployment_runs_before_the_sockets_get_their_folder() -> None:
    assert SERVING.index("    server_on_deployment(svc)") < SERVING.index("tempfile.mkdtemp")
    assert "exit_stack.callback(shutil.rmtree, uds_path" in SERVING


def test_workers_are_described_as_they_are_changed() -> None:
    source = inspect.getsource(bentoml.serving.create_watcher)
    assert "graceful_timeout=" in source
    assert "respawn=" in source


def test_circus_stops_and_handles_signals_as_it_did() -> None:
    assert {"quit", "handle_hup", "handle_term"} <= set(dir(SysHandler))
    assert "self.quit()" in inspect.getsource(SysHandler.handle_term)
    assert "self._stopping = True" in inspect.getsource(Arbiter.stop)
