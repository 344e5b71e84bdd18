"""One command on a machine with a CUDA device: what each way to run a BiRefNet costs and misses.

`python -m scripts.gpu_check --output gpu.json` needs torch and numpy, downloads nothing and ends
within six minutes. The service, and runtimes beside PyTorch, are measured where they are installed
or lie packed in build/gpu_pack (`python -m scripts.gpu_check.pack`). Weights are seeded; everything
is compared with float32 on the same device. All that was measured is on disk after every row;
`--resume` goes on with what is missing.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.arguments import positive
from scripts.command import Unusable, need_torch, run_command
from scripts.gpu_check.packed import FOLDER, unpack

_OUTPUT = Path("build/gpu_check.json")
_FULL_SIDE = 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, measure, write, print.

    Raises:
        Unusable: Where there is no PyTorch, no CUDA device, or no network of a name.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parse(given)
    _refuse(options)
    if arguments is None:  # from within another program it would end that
        _use_packed(given, options)
    if options.output is not None or not options.smoke:
        return _check(given, options, options.output or _OUTPUT)
    with tempfile.TemporaryDirectory(prefix="gpu_check-") as folder:  # nobody keeps a trial's
        return _check(given, options, Path(folder) / _OUTPUT.name)


def _refuse(options: argparse.Namespace) -> None:
    """Find out before the work whether there is something to measure."""
    import torch

    from models.birefnet.backbones import BACKBONES
    from scripts.measuring.seeded_network import TINY

    if not torch.cuda.is_available() and not options.smoke:
        raise Unusable("no CUDA device is here; --smoke tries the script on a CPU")
    unknown = set(options.models) - {TINY, *BACKBONES}
    if unknown:
        names = f"{', '.join(sorted(unknown))}; there are: {', '.join(BACKBONES)}"
        raise Unusable(f"no network is called {names}")


def _check(given: Sequence[str], options: argparse.Namespace, output: Path) -> int:
    deadline = time.monotonic() + options.budget_s
    from scripts.gpu_check.device import DeviceBroken, describe
    from scripts.gpu_check.report import Report
    from scripts.gpu_check.rows import Check
    from scripts.gpu_check.service import ServiceCheck

    output.parent.mkdir(parents=True, exist_ok=True)
    report = Report.resume(output) if options.resume else Report(output)
    report.note(**describe(shlex.join(["python", "-m", "scripts.gpu_check", *given])))
    try:
        check = Check(report, options, deadline)
        service = ServiceCheck(report, options, deadline, check.networks)
        check.run(serve=service.run)
    except DeviceBroken:
        _start_anew(given, deadline - time.monotonic())
    print(report.as_markdown())
    print(f"written: {output}", file=sys.stderr)
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help=f"default: {_OUTPUT}; of --smoke, none is kept"
    )
    parser.add_argument("--models", nargs="+", default=["swin_v1_t", "swin_v1_l"], metavar="NAME")
    parser.add_argument("--side", type=positive, default=_FULL_SIDE, help="pixels, whole 32s")
    parser.add_argument("--batches", nargs="+", type=positive, default=[1, 2, 4, 8], metavar="N")
    parser.add_argument("--budget-s", type=float, default=330, help="skip what takes longer")
    parser.add_argument("--enough-s", type=float, default=1.0, help="of repeating one thing")
    parser.add_argument("--resume", action="store_true", help="keep the rows that FILE has")
    parser.add_argument("--packed", type=Path, default=FOLDER, metavar="FOLDER", help="pieces")
    parser.add_argument("--no-service", action="store_true", help="networks alone")
    parser.add_argument("--smoke", action="store_true", help="tiny network, also on a CPU")
    options = parser.parse_args(arguments)
    need_torch()
    if options.smoke:
        from scripts.measuring.seeded_network import TINY

        options.models, options.side, options.batches = [TINY], 64, [1, 2]
        options.enough_s = 0.05
    return options


def _start_anew(given: Sequence[str], left_s: float) -> None:
    """Go on in a fresh process: an error of the device stays with the one it happened in."""
    print("the device must be opened anew", file=sys.stderr)
    _become([*given, "--resume"], left_s, [])


def _use_packed(given: Sequence[str], options: argparse.Namespace) -> None:
    """Become a process that finds what was packed, unless this is one."""
    started = time.monotonic()
    folders, reasons = unpack(options.packed)
    for name, reason in reasons.items():
        print(f"{name} is not used: {reason}", file=sys.stderr)
    if not set(map(str, folders)) <= set(sys.path):
        _become(given, options.budget_s - (time.monotonic() - started), folders)


def _become(given: Sequence[str], left_s: float, folders: Sequence[Path]) -> None:
    """Start this command again in this process, with more folders to import from."""
    paths = "".join(f"{folder}:" for folder in folders)
    again = [sys.executable, "-m", "scripts.gpu_check", *given, "--budget-s", f"{left_s:.0f}"]
    script = 'export PYTHONPATH="$0$PYTHONPATH"; exec "$@"'
    os.execv("/bin/sh", ["sh", "-c", script, paths, *again])  # noqa: S606  the words are ours


if __name__ == "__main__":
    run_command(main)
