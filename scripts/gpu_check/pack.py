"""Pack what a CUDA machine without a network lacks, in pieces that can be sent one by one.

`python -m scripts.gpu_check.pack --python 3.12` packs the service, OpenVINO and TensorRT-RTX for a
machine with that Python (Linux, x86-64) into build/gpu_pack, and says of each part how large it is
or why it is not packed. On the machine `python -m scripts.gpu_check` finds the pieces there. What
the machine has already, such as numpy, can be left out with `--without`. Never packed: PyTorch.
"""

from __future__ import annotations

import argparse
import lzma
import math
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from scripts.arguments import positive
from scripts.command import Unusable, run_command
from scripts.gpu_check.packed import FOLDER, piece_name
from scripts.measuring.table import table

_ROOT = FOLDER.parents[1]
_MB = 10**6
_PRESET = 2  # the next ones take twice as long for a twentieth less
_BLOCK = re.compile(r"^([\w.-]+)==.*\n(?:[ \t#].*\n)*", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """Distributions that are of use together.

    Attributes:
        lock: File they are pinned in, with hashes; empty for the newest of each.
        names: Those of the lock that are meant; none for all.
        but: Those of the lock that are not.
    """

    lock: str
    names: tuple[str, ...] = ()
    but: tuple[str, ...] = ()


_OPENVINO = ("openvino", "openvino-telemetry")
PARTS = {
    "service": Part("requirements.lock", but=_OPENVINO),
    "openvino": Part("requirements.lock", _OPENVINO),
    "tensorrt_rtx": Part(
        "requirements-dev.lock",
        (
            *("tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu13-libs"),
            *("cuda-bindings", "cuda-pathfinder"),
        ),
    ),
    "onnxruntime_gpu": Part("", ("onnxruntime-gpu",)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, pack part after part, print; 1 if one could not be packed.

    Raises:
        Unusable: Where there is no uv.
    """
    options = _parse(arguments)
    if find_spec("uv") is None:
        raise Unusable("uv is not installed; run: pip install -r requirements-dev.lock")
    options.output.mkdir(parents=True, exist_ok=True)
    rows, failed = [["part", "pieces", "MB", "MB unpacked", "why not"]], False
    for name in options.parts:
        print(f"packing {name} ...", file=sys.stderr)
        try:
            pieces, unpacked = _pack(name, options)
        except Unusable as refused:
            rows.append([name, "", "", "", str(refused)])
            failed = True
        else:
            size = sum(piece.stat().st_size for piece in pieces)
            rows.append([name, str(len(pieces)), f"{size / _MB:.0f}", f"{unpacked / _MB:.0f}"])
    print("\n".join(table(rows)))
    return 1 if failed else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=["service", "openvino", "tensorrt_rtx"],
        metavar="PART",
        help=f"of {', '.join(PARTS)}; default: all but the last",
    )
    parser.add_argument("--python", default=here, help=f"of the machine; default: {here}")
    parser.add_argument("--platform", default="x86_64-manylinux_2_28", help="as uv calls it")
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME", help="leave out")
    parser.add_argument("--output", type=Path, default=FOLDER, metavar="FOLDER")
    parser.add_argument("--piece-mb", type=positive, default=48, help="largest piece")
    parser.add_argument("--most-pieces", type=positive, default=4, help="of one part")
    return parser.parse_args(arguments)


def _pack(name: str, options: argparse.Namespace) -> tuple[list[Path], int]:
    """Install a part into a folder and pack that.

    Returns:
        Its pieces, and the bytes of what is in them.
    """
    for old in options.output.glob(f"{name}-py*-of-*"):
        old.unlink()
    with tempfile.TemporaryDirectory(prefix="gpu_pack-") as scratch:
        folder = Path(scratch) / name
        _install(PARTS[name], folder, options)
        whole = Path(scratch) / "archive"
        most = options.most_pieces * options.piece_mb * _MB
        unpacked = archive(folder, whole, most)
        piece = options.piece_mb * _MB
        return split(whole, options.output, (name, options.python), piece), unpacked


def _install(part: Part, folder: Path, options: argparse.Namespace) -> None:
    """Have uv put the wheels of a part into a folder, for the machine's Python.

    Raises:
        Unusable: If one cannot be had; with uv's last words.
    """
    wanted = "\n".join(part.names)
    if part.lock:
        wanted = select((_ROOT / part.lock).read_text(), part.names, {*part.but, *options.without})
    hashes = ["--require-hashes"] if part.lock else []
    command = [
        *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(folder)),
        *("--python-version", options.python, "--python-platform", options.platform),
        *("--only-binary", ":all:", "--no-deps", *hashes, "--requirement", "-"),
    ]
    done = subprocess.run(command, input=wanted, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unusable(" ".join(done.stderr.split())[-300:])


def select(lock: str, names: Collection[str], but: Collection[str]) -> str:
    """The requirements of a lock file that are wanted, hashes and markers included.

    Args:
        lock: Text of the file.
        names: Distributions that are wanted; none for all.
        but: Distributions that are not.
    """
    blocks = [block for block in _BLOCK.finditer(lock) if block[1] not in but]
    return "".join(block[0] for block in blocks if not names or block[1] in names)


def archive(folder: Path, file: Path, most: int) -> int:
    """Write a folder's contents as one `tar.xz`.

    Args:
        folder: What is packed.
        file: Where it goes.
        most: Bytes it may have.

    Returns:
        Bytes of what was packed.

    Raises:
        Unusable: If it becomes larger.
    """
    unpacked = 0
    with (
        file.open("wb") as out,
        lzma.open(out, "wb", preset=_PRESET) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        for member in sorted(folder.rglob("*")):
            tar.add(member, member.relative_to(folder), recursive=False)
            unpacked += member.stat().st_size if member.is_file() else 0
            _require_at_most(most, out.tell())
    _require_at_most(most, file.stat().st_size)
    return unpacked


def _require_at_most(most: int, size: int) -> None:
    if size > most:
        words = f"more than {most / _MB:.0f} MB packed; to pack it all the same: --most-pieces"
        raise Unusable(words)


def split(whole: Path, output: Path, name: tuple[str, str], most: int) -> list[Path]:
    """Cut an archive into pieces.

    Args:
        whole: The archive.
        output: Folder of the pieces.
        name: Of the part, and of the Python it is for.
        most: Bytes of the largest piece.
    """
    count = math.ceil(whole.stat().st_size / most)
    pieces = []
    with whole.open("rb") as archived:
        for number in range(1, count + 1):
            piece = output / piece_name(*name, number, count)
            piece.write_bytes(archived.read(most))
            pieces.append(piece)
    return pieces


if __name__ == "__main__":
    run_command(main)
