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


def bentoml_home() -> Path | None:
    """BentoML's home, as BentoML takes it; None where only BentoML can say."""
    told = os.environ.get("BENTOML_HOME", "~/bentoml")
    return None if "$" in told else Path(os.path.expanduser(told))


def distrust_forwarded_headers() -> None:
    """Keep uvicorn from believing X-Forwarded-For from loopback; we decide who is believed."""
    os.environ["FORWARDED_ALLOW_IPS"] = ""


def send_nothing() -> None:
    """Keep BentoML from telling its authors that it was started, unless an operator wants that."""
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")


def refuse_conductor() -> None:
    """Keep variables of DBOS's cloud from having it report there, or take another's tasks over."""
    for name in [name for name in os.environ if name.startswith("DBOS_")]:
        del os.environ[name]


def show_token(token: str) -> None:
    """Have BentoML's client show a token to inference; this is where it looks for one."""
    if token:
        os.environ["BENTO_CLOUD_API_KEY"] = token


def told_models() -> list[str]:
    """Tags of the models to serve, if our supervisor has found and verified them already."""
    return os.environ.get(MODEL_TAGS, "").split()


def ray_cluster() -> str | None:
    """Address of the Ray cluster that a job joins; None where it runs on this machine alone."""
    return os.environ.get("RAY_ADDRESS") or None


def quiet_ray() -> None:
    """Keep Ray from telling its authors that it was started, unless an operator wants that."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
