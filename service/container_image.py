"""Describes the container image of each flavour; `bentoml containerize` builds it.

One folder, `/data`, is written to; all else may be mounted read-only.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from bentoml.images import Image
from pydantic import BaseModel, ConfigDict

from service.http.policies import PREFIX

_ROOT = Path(__file__).parents[1]  # the repository, and in a Bento its `src`
_LOCK = "requirements.lock"
_TORCH_LOCK, _TENSORRT_LOCK = "requirements-torch.lock", "requirements-tensorrt.lock"
_PORT = 55433
# BentoML itself writes to the home and the temporary folder before any code of ours runs, and would
# end in a traceback. Its entry point is a Bash script, which reads this file first.
_CHECK = "/etc/check-data.sh"
_CHECK_LINE = (
    '[ -w /data ] || { echo "The container cannot start: '
    '/data is not writable for user $(id -u); chown it" >&2; exit 1; }'
)
_ENVIRONMENT = {
    "BASH_ENV": _CHECK,
    "BENTOML_HOME": "/data/bentoml",
    "BENTOML_DO_NOT_TRACK": "True",
    "BIREFNET_CACHE_DIR": "/data/cache",
    "BIREFNET_HOST": "0.0.0.0",  # noqa: S104  # a container's own network
    "BIREFNET_PORT": str(_PORT),
    "BIREFNET_STORAGE_URL": "/data/storage",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TMPDIR": "/data",  # sockets; a folder below would not be there on an empty volume
}
# What makes the NVIDIA container runtime bring its driver in. CUDA itself comes with the wheels:
# NVIDIA's own base image would only bring it twice.
_GPU_ENVIRONMENT = {
    "NVIDIA_VISIBLE_DEVICES": "all",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
}
# No client of its own, since a slim image has none; and none that asks a proxy.
_PROBE = (
    "import http.client, os, sys; "
    "c = http.client.HTTPConnection('127.0.0.1', int(os.environ['BIREFNET_PORT']), timeout=9); "
    f"c.request('GET', '{PREFIX}/health'); "
    "sys.exit(c.getresponse().status != 200)"
)


class Flavour(BaseModel):
    """What `bentoml build --arg` takes.

    Attributes:
        gpu: Whether the image holds TensorRT and what drives a GPU.
        torch: Whether a GPU's image also holds PyTorch with CUDA, which serves until a TensorRT
            engine is built, and where none can be.
    """

    model_config = ConfigDict(extra="forbid")

    gpu: bool = False
    torch: bool = True


def describe_image(flavour: Flavour) -> Image | None:
    """Say what is installed, and how the container is run and watched.

    Returns:
        None without locks: where the service was installed from its wheel, nobody builds images.
    """
    if not (_ROOT / _LOCK).exists():
        return None
    # BentoML installs a compiler and git on every distribution it knows; a wheel needs neither.
    image = Image(
        base_image="python:3.11-slim-bookworm",
        distro="none",
        python_version="3.11",
        lock_python_packages=False,  # they are locked, with hashes
    )
    image.run(_and_instructions("install -d -o bentoml -g bentoml /data", "ENV UV_NO_CACHE=1"))
    image.run(f"echo {shlex.quote(_CHECK_LINE)} > {_CHECK}")
    for lock in _locks(flavour):
        image.python_packages((_ROOT / lock).read_text())
    environment = _ENVIRONMENT | (_GPU_ENVIRONMENT if flavour.gpu else {})
    return image.run(
        _and_instructions(
            "true",
            *(f"ENV {name}={value}" for name, value in environment.items()),
            f"EXPOSE {_PORT}",
            "VOLUME /data",
            # Long enough for TensorRT to be built before the start; an end is noticed at once.
            "HEALTHCHECK --interval=30s --timeout=10s --start-period=10m --retries=3 "
            f"CMD {json.dumps(['python', '-c', _PROBE])}",
            "LABEL org.opencontainers.image.title=birefnet-background-removal "
            "org.opencontainers.image.licenses=Apache-2.0",
        )
    )


def _locks(flavour: Flavour) -> list[str]:
    """The files that name what is installed; the second needs the first."""
    if not flavour.gpu:
        return [_LOCK]
    return [_LOCK, *([_TORCH_LOCK] if flavour.torch else []), _TENSORRT_LOCK]


def _and_instructions(command: str, *lines: str) -> str:
    """A command, then instructions BentoML has no words for: it writes every line as it is."""
    return "\n".join((command, *lines))
