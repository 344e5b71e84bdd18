"""Does what the command was asked for, and says how it ended."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from birefnet_client.command.arguments import Usage
from birefnet_client.command.backends import Backend, open_backend
from birefnet_client.command.sources import expand, jobs_of
from birefnet_client.command.telling import Teller, complain, sentence_of
from birefnet_client.errors import CONNECTION_LOST, NOT_OURS, RemovalError
from birefnet_client.folders import Job, remove_into

DONE, SOME_FAILED, WRONG_USAGE, NO_SERVICE, INTERRUPTED = 0, 1, 2, 3, 130

_SCAN_S = 1.0
_STREAM = "-"
# What the service refuses for its options, which are those of all pictures.
_OF_THE_WORDS = ("INVALID_REQUEST", "BACKGROUND_NOT_FOUND")
# What a service has stopped for, or a remover in this process finds at its first picture.
_OF_THE_SERVICE = (CONNECTION_LOST, "ENGINE_UNAVAILABLE")


def work(given: argparse.Namespace) -> int:
    """Do it; the exit status.

    Raises:
        Usage: If the words make no sense together.
        RemovalError: If there is no service, or no model.
    """
    through = _STREAM in (*given.pictures, given.output)
    names = given.pictures if through else expand(given.pictures)
    if through:
        _check_stream(given)
    elif given.watch and not any(map(os.path.isdir, names)):
        raise Usage("--watch needs a folder")
    jobs = [] if through else jobs_of(names, given.output, given.options)
    if not (through or jobs or given.watch):
        raise Usage("there is no picture in these folders")
    backend = open_backend(given.server, given.patience)
    gc.freeze()
    gc.enable()
    try:
        if through:
            return _do_stream(given, backend)
        if given.watch:
            return _watch(names, given, backend)
        return _do(jobs, given, backend)
    finally:
        if sys.exc_info()[0] is not KeyboardInterrupt:  # else something of it is still at work
            backend.close()


def _do(jobs: Sequence[Job], given: argparse.Namespace, backend: Backend) -> int:
    """Do files, and tell of each."""
    teller = Teller(len(jobs), as_json=given.json)
    remove = partial(backend.remove, options=given.options)
    once = {"resume": not given.overwrite, "overwrite": given.overwrite}
    calls = [remove_into(remove, job, **once) for job in jobs]
    ran = backend.runner.run_many(calls, given.workers or backend.at_once)
    try:
        with closing(ran):
            for done in ran:
                teller.tell(done)
                if done.error is not None and (ends := ending_of(done.error)):
                    return ends
    finally:
        teller.finish()
    return SOME_FAILED if teller.counts["failed"] else DONE


def ending_of(error: RemovalError) -> int:
    """The status that ends all, where what befell one picture will befall all; else 0."""
    if error.code in _OF_THE_WORDS:
        return WRONG_USAGE
    if error.code == NOT_OURS:
        return 0 if error.status == 413 else NO_SERVICE  # how a proxy refuses a large picture
    return NO_SERVICE if error.status == 401 or error.code in _OF_THE_SERVICE else 0


def _watch(names: Sequence[str], given: argparse.Namespace, backend: Backend) -> int:
    """Do what is there and what appears, until somebody interrupts it or the service is gone."""
    before: dict[Path, object] = {}
    finished: dict[Path, object] = {}
    while True:
        jobs = jobs_of(names, given.output, given.options)
        now = {job.source: _state(job.source) for job in jobs}
        ready = [
            job
            for job in jobs
            if now[job.source] == before.get(job.source) != finished.get(job.source)
        ]
        if ready:
            status = _do(ready, given, backend)
            if status not in (DONE, SOME_FAILED):
                return status
            finished |= {job.source: now[job.source] for job in ready}
        before = now
        time.sleep(_SCAN_S)


def _state(source: Path) -> object:
    """What changes while a file is still being written."""
    try:
        found = source.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _check_stream(given: argparse.Namespace) -> None:
    """See that one picture goes in and one out."""
    if len(given.pictures) > 1 or given.watch:
        raise Usage("- stands for one picture; leave the others out")
    if given.output in (None, _STREAM):
        if given.json:
            raise Usage("--json and the picture cannot both go to stdout")
        if sys.stdout.isatty():
            raise Usage("a picture would go to the terminal; say where with -o, or redirect it")


def _do_stream(given: argparse.Namespace, backend: Backend) -> int:
    """One picture from stdin, to stdout, or both."""
    (name,) = given.pictures
    source = sys.stdin.buffer.read() if name == _STREAM else Path(name)
    try:
        cutout = backend.runner.run(backend.remove(source, given.options))
        if given.output in (None, _STREAM):
            sys.stdout.buffer.write(cutout.data)
            sys.stdout.buffer.flush()
        else:
            cutout.save(given.output)
    except RemovalError as error:
        complain(f"{name}: {sentence_of(error)}")
        return ending_of(error) or SOME_FAILED
    except (OSError, ValueError) as fault:
        complain(f"{name}: {fault}")
        return SOME_FAILED
    return DONE
