"""Keeps compiled networks between starts, so that none is read or compiled twice.

OpenVINO's own cache knows a network by all that is in it: every start would read the graph and give
it its shape only to find the compiled network. Here it is known by the hash of its file.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from models.arrays import U8Array
from models.artifacts import replacing

log = logging.getLogger(__name__)

#: Of a graph that may be kept here. It is written through memory, which a larger one would fill.
MOST_BYTES = 256 << 20


def file_of(folder: Path, *made_of: object) -> Path:
    """Where a compiled network is kept.

    Args:
        folder: Where all of them lie.
        made_of: All that decides what it is.
    """
    known_by = hashlib.sha256(repr(made_of).encode()).hexdigest()
    return folder / f"{known_by[:32]}.blob"


def open_kept(
    core: ov.Core, file: Path, properties: dict[str, Any]
) -> tuple[ov.CompiledModel, U8Array] | None:
    """Open a compiled network where it lies, without reading what is not needed.

    Returns:
        The network, and the memory it runs in, which must be held as long; None if there is none.
    """
    try:
        memory = np.memmap(file, np.uint8, "c")
        tensor = ov.Tensor(memory, shared_memory=True)
        return core.import_model(tensor, "CPU", properties), memory
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RuntimeError) as refused:  # empty, damaged, or another OpenVINO's
        log.warning("%s cannot be used and is made anew: %s", file, refused)
        return None


def keep(compiled: ov.CompiledModel, file: Path) -> None:
    """Keep a compiled network; without room for it the next start compiles again."""
    try:
        with replacing(file) as unfinished:
            unfinished.write_bytes(compiled.export_model().getbuffer())
    except OSError as refused:
        log.warning("a compiled network could not be kept: %s", refused)
