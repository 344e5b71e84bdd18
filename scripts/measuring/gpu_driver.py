"""What NVIDIA's driver says of the GPUs; needs no library, not even torch."""

from __future__ import annotations

import subprocess

_PATIENCE_S = 20


def ask_driver(fact: str) -> str:
    """Ask for a fact of ``nvidia-smi --help-query-gpu``, such as ``name``.

    Returns:
        The answers, one per GPU; empty without a driver that answers.
    """
    query = ["nvidia-smi", f"--query-gpu={fact}", "--format=csv,noheader"]
    try:
        asked = subprocess.run(query, capture_output=True, text=True, timeout=_PATIENCE_S)
    except (OSError, subprocess.SubprocessError):
        return ""
    return ", ".join(asked.stdout.splitlines()) if asked.returncode == 0 else ""
