"""How a command ends: what its user can put right is one sentence, without a traceback.

A traceback is for faults of ours. A file that is not there, a package that is not installed, a
service that does not answer are not ours.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from models.errors import BackgroundRemovalError

_INTERRUPTED = 130
_TORCH = "-r requirements-torch.lock"


class Unusable(RuntimeError):
    """What a command was given, or runs on, does not serve; the message says what would."""


def run_command(main: Callable[[], int | None]) -> NoReturn:
    """Run a command and end this process with its status; 1 and a sentence where it could not."""
    name = Path(sys.argv[0]).stem
    try:
        status = main()
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except ModuleNotFoundError as missing:
        status = _say(name, f"{missing.name} is not installed; run: {_install(missing.name)}")
    except OSError as fault:
        file = f"{fault.filename}: " if fault.filename else ""
        status = _say(name, f"{file}{fault.strerror or fault}")
    except subprocess.CalledProcessError as failure:
        status = _say(name, f"{failure.cmd[0]} ended with {failure.returncode}; see above")
    except (BackgroundRemovalError, Unusable) as fault:
        status = _say(name, str(fault))
    sys.exit(status)


def need_torch() -> None:
    """Find out before the work whether PyTorch is there.

    Raises:
        Unusable: If it is not; says what to run.
    """
    if find_spec("torch") is None:
        raise Unusable(f"PyTorch is not installed; run: {_install('torch')}")


def _install(module: str | None) -> str:
    pip = f"{sys.executable} -m pip install"
    return f"{pip} {_TORCH if module == 'torch' else '--require-hashes -r requirements-dev.lock'}"


def _say(name: str, sentence: str) -> int:
    print(f"{name}: {sentence}", file=sys.stderr)
    return 1
