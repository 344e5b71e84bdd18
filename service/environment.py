"""The few variables of the environment that are not our settings, read and set in one place."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from service.settings import Settings

#: Set by a supervisor for its workers alone.
MODEL_TAGS = "SERVED_MODEL_TAGS"


def private_folders(settings: Settings) -> tuple[Path, ...]:
    """Where sockets and metric files of a running instance may go, the best place first."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return (
        settings.cache_dir / "run",
        *([Path(runtime) / "birefnet"] if runtime else []),
        Path(tempfile.gettempdir()) / f"birefnet-{user}",
    )


def distrust_forwarded_headers() -> None:
    """Keep uvicorn from believing X-Forwarded-For from loopback; we decide who is believed."""
    os.environ["FORWARDED_ALLOW_IPS"] = ""


def send_nothing() -> None:
    """Keep BentoML from telling its authors that it was started, unless an operator wants that."""
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")


def told_models() -> list[str]:
    """Tags of the models to serve, if our supervisor has found and verified them already."""
    return os.environ.get(MODEL_TAGS, "").split()
