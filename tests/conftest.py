"""Versions in the report, an environment without an operator's settings, shared fixtures."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.api import Api, open_api
from tests.support.pictures import make_portrait, save

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # else torch's threads spin while they wait

_SHOWN = (
    "bentoml",
    "fastapi",
    "starlette",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "openvino",
)
_TENSORRT = frozenset({"tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"})
_SS_DISABLE = 2  # signal.h
_LEFT_OUT = pytest.StashKey[int]()
_LANE_ENDED: list[str] = []
# End-to-end tests that start all their servers themselves, so that either lane may take them.
_OF_THEIR_OWN = frozenset(
    f"test_{name}.py"
    for name in (
        *("bento", "client_pace", "engine_chain", "release", "start"),
        *("tasks", "tasks_in_trouble", "webhooks"),
    )
)
_OURS = ("BIREFNET_", "LOG_LEVEL", "LOG_FORMAT", "LOG_FILE")


def pytest_report_header() -> str:
    """Versions that decide how a test ends."""
    return "versions: " + ", ".join(f"{name} {version(name)}" for name in _SHOWN)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long or needs other services, unless it is asked for."""
    asked = set(re.findall(r"\w+", config.option.markexpr))
    unasked = set() if os.environ.get("CI_SERVICES") else {"full", "services"} - asked
    left_out = [item for item in items if unasked & {mark.name for mark in item.iter_markers()}]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    config.stash[_LEFT_OUT] = len(left_out)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a lane: tell the process that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(_LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Lanes take whole files, which share fixtures; one lane all files that share servers."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            shares = file.startswith("tests/e2e/") and Path(file).name not in _OF_THEIR_OWN
            return "servers" if shares else file

    config.option.loadscopereorder = False  # the servers, which take longest, come early as it is
    return ByFile(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """In the process that reports: hear it of a lane; each has collected all there is."""
    node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, dict[str, Any], Any]:
    """Lanes report in UTF-8: a name in a log that is no text would end one, and say of nothing."""
    return _as_text((yield))


def _as_text(told: Any) -> Any:
    if isinstance(told, str):
        return told.encode(errors="backslashreplace").decode()
    if isinstance(told, dict):
        return {_as_text(name): _as_text(value) for name, value in told.items()}
    return type(told)(map(_as_text, told)) if isinstance(told, list | tuple) else told


def pytest_internalerror(excrepr: object) -> None:
    """Where a lane ends by itself, keep why: the first is the cause of all others."""
    _LANE_ENDED.append(str(excrepr))


def pytest_unconfigure() -> None:
    """Say that again as the last thing of all, in the process that reports."""
    for cause in _LANE_ENDED[:1]:
        print("\n".join(cause.splitlines()[-30:]), file=sys.stderr)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say in one line what was left out."""
    if number := config.stash.get(_LEFT_OUT, 0):
        terminalreporter.write_line(
            f'{number} tests marked full or services were left out; -m "full or services" runs them'
        )


@pytest.fixture(autouse=True)
def _no_operator_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of whoever runs it."""
    for name in list(os.environ):
        if name.upper().startswith(_OURS):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_tensorrt_in_this_process(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test loads TensorRT here: without a driver its objects can end every test after it."""
    loaded = _TENSORRT & sys.modules.keys()
    yield
    if request.node.get_closest_marker("gpu") is None:
        assert _TENSORRT & sys.modules.keys() == loaded


class _SignalStack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (("at", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@pytest.fixture(autouse=True)
def _no_lost_signal_stack() -> Iterator[None]:
    """Signals are heard on the thread's own stack, whatever the test's libraries left.

    OpenVINO gives the thread that opens a graph a stack for signals; where it refuses one, that
    stays after it was unmapped, and the next signal, such as the alarm of a time limit, is fatal.
    """
    yield
    if sys.platform == "linux":
        none = _SignalStack(None, _SS_DISABLE, 0)
        assert ctypes.CDLL(None).sigaltstack(ctypes.byref(none), None) == 0


@pytest.fixture
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def root() -> Path:
    """Root of the repository."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def portrait_png() -> bytes:
    """A bright subject on a dark ground, as a file."""
    return save(Image.fromarray(make_portrait()), "PNG")


@pytest.fixture(scope="session")
def portrait_jpeg() -> bytes:
    """The same as a JPEG."""
    return save(Image.fromarray(make_portrait()), "JPEG", quality=95)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """An API without rate limits, on the fake engine."""
    async with open_api() as opened:
        yield opened
