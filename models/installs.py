"""What to install where a runtime is missing, in the same words everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from models.errors import EngineUnavailable

TORCH_INSTALL = "pip install -r requirements-torch.lock"
#: Which of the two extras, by the driver: docs/engines.md.
TENSORRT_INSTALL = 'pip install ".[tensorrt]"'


@contextmanager
def torch_or_say_so(why: str) -> Iterator[None]:
    """Turn the lack of PyTorch, which the base install does not have, into what to install.

    Args:
        why: What it is needed for, as the beginning of a sentence.

    Raises:
        EngineUnavailable: If a module was not found within.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        raise EngineUnavailable(
            f"{why}, and {missing.name} is not installed; run: {TORCH_INSTALL}"
        ) from missing


def why_no_torch() -> str | None:
    """What to install where PyTorch is missing, or None; nothing is imported."""
    return None if find_spec("torch") else f"PyTorch is not installed; run: {TORCH_INSTALL}"
