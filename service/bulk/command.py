"""The command `birefnet-batch`: a folder or bucket in, another out, a row for each picture."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from models.errors import BackgroundRemovalError
from service.blobs.blobs import BadStorage
from service.bulk.errors import Stopped, Usage
from service.bulk.pictures import Job
from service.environment import quiet_ray
from service.errors import CannotStart, InvalidRequest

WRONG_USAGE, NO_SERVICE, INTERRUPTED = 2, 3, 130

_GOES_ON = "the same command goes on where this one stopped"

_ABOUT = "Remove the background of all pictures of a folder or a bucket, without a server."
_AFTER = """\
SRC and DST are folders, or s3://, gs:// or az:// with a bucket and a prefix; credentials are those
of the environment. The tree is kept. DST/manifest.parquet has a row for each picture: path, target,
code, detail, ms, engine, model; code is empty where the cutout is there. The same command again
does what is new, was interrupted, or failed; nothing that is there is replaced. Settings are those
of the service. With RAY_ADDRESS it runs on that cluster, else on this machine.
Exit status: 0 all done; 1 some pictures failed; 2 wrong usage; 3 no model, storage or worker;
130 interrupted.
"""


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run the command, and end this process with its status."""
    sys.exit(run(sys.argv[1:] if words is None else words))


def run(words: Sequence[str]) -> int:
    """Run the command; its status."""
    try:
        job, workers = job_of(words)
        quiet_ray()
        from service.bulk.work import work

        return work(job, workers)
    except (Usage, InvalidRequest, BadStorage) as wrong:
        return _complain(str(wrong), WRONG_USAGE)
    except ModuleNotFoundError as missing:
        install = f"{sys.executable} -m pip install 'birefnet-background-removal[bulk]'"
        return _complain(f"{missing.name} is not installed; run: {install}", NO_SERVICE)
    except CannotStart as refused:
        return _complain(str(refused), NO_SERVICE)
    except (Stopped, BackgroundRemovalError, OSError) as fault:
        return _complain(f"{fault}; {_GOES_ON}", NO_SERVICE)
    except KeyboardInterrupt:
        return _complain(f"interrupted; {_GOES_ON}", INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "birefnet-batch",
        description=_ABOUT,
        epilog=_AFTER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("source", metavar="SRC", help="folder or bucket of the pictures")
    add("target", metavar="DST", help="folder or bucket for what is made")
    add("--model", default="", help="model, of those that are registered")
    add("--mask", action="store_true", help="make the mask instead of the cutout")
    add("--format", choices=("avif", "jpeg", "png", "webp"), help="file format (png)")
    add("--option", action="append", default=[], metavar="NAME=VALUE", help="any other of the API")
    add("--actors", type=int, metavar="N", help="workers (as many as there is room)")
    add("--threads", type=int, default=1, metavar="N", help="cores of one worker (1)")
    add("--gpus", type=float, default=0.0, metavar="N", help="GPUs of one worker, such as 1 or 0.5")
    return parser


def job_of(words: Sequence[str]) -> tuple[Job, int | None]:
    """What the words ask for, and by how many workers; None for as many as there is room.

    Raises:
        SystemExit: With 2, if they cannot be read.
        Usage: If they make no sense together.
    """
    given = _parser().parse_args(words)
    if given.threads < 1 or given.gpus < 0 or (given.actors is not None and given.actors < 1):
        raise Usage("--actors and --threads are at least 1, --gpus at least 0")
    options = {"output": "mask"} if given.mask else {}
    if given.format:
        options["format"] = given.format
    for word in given.option:
        name, is_one, value = word.partition("=")
        if not is_one or name == "bg_image":
            raise Usage(f"--option {word}: not NAME=VALUE with an option that is no file")
        options[name] = value
    if given.source.rstrip("/") == given.target.rstrip("/"):
        raise Usage("SRC and DST are one; choose another DST")
    job = Job(given.source, given.target, options, given.model, given.threads, given.gpus)
    return job, given.actors


def _complain(sentence: str, status: int) -> int:
    print(f"birefnet-batch: {sentence}", file=sys.stderr, flush=True)
    return status
