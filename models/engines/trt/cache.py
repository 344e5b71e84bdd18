"""Plans on disk: found by their key, believed by their manifest, built once however many ask.

A plan is code that runs on the host and the device. So the folder is its owner's alone, manifests
lie in another folder than plans, and nothing is read that the manifest's hash does not vouch for.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from stat import S_ISLNK

from filelock import FileLock, Timeout

from models.engines.trt.plan import PlanKey, PlanManifest
from models.errors import EngineBuildFailed, EngineIncompatible

_OWNER_ONLY = 0o700
_OTHERS, _OTHERS_WRITE = 0o077, 0o022
# A build takes minutes; whoever waits longer than this waits for something that hangs.
_PATIENCE_S = 3600.0


class PlanCache:
    """A folder of plans.

    Args:
        folder: Where; made if need be, for this user alone.

    Raises:
        EngineIncompatible: If the folder is another's or open to others.
    """

    def __init__(self, folder: Path) -> None:
        self._plans, self._manifests = folder / "plans", folder / "manifests"
        for part in (folder, self._plans, self._manifests):
            make_own_folder(part)
        self._locks = folder

    def find(self, key: PlanKey) -> bytes | None:
        """The plan of a key, read and verified.

        Returns:
            The plan, or None where there is none.

        Raises:
            EngineIncompatible: If a plan is there and is not what its manifest says.
        """
        plan, manifest = self._paths(key)
        if not manifest.is_file():
            return None
        return read_plan(plan, _read_manifest(manifest), key)

    def manifest(self, key: PlanKey) -> PlanManifest:
        """What is kept under a key.

        Raises:
            EngineIncompatible: If that cannot be read.
        """
        return _read_manifest(self._paths(key)[1])

    def build_once(
        self,
        key: PlanKey,
        build: Callable[[Path], PlanManifest],
        patience_s: float = _PATIENCE_S,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> bytes:
        """The plan of a key, built if it is not there; of many who ask at once, one builds.

        Args:
            key: What to build.
            build: Writes the plan to the path it is given, which counts only once this returns.
            patience_s: How long to wait for another's build, in seconds.
            cancelled: Whether to wait no longer.

        Returns:
            The plan, verified.

        Raises:
            EngineBuildFailed: If the build fails, or another's takes too long.
        """
        plan, manifest = self._paths(key)
        try:
            with self._lock(key).acquire(patience_s, cancel_check=cancelled):
                known = self._find_or_forget(key)
                if known is not None:
                    return known
                self._clear_leftovers(key)
                unfinished = plan.with_suffix(f".{os.getpid()}.part")
                try:
                    made = build(unfinished)
                    keep(unfinished, plan)
                finally:
                    unfinished.unlink(missing_ok=True)
                # The manifest last: without it there is no plan.
                written = manifest.with_suffix(".part")
                written.write_text(json.dumps(made.as_metadata(), indent=1))
                keep(written, manifest)
                self._remove_outdated(key)
                return read_plan(plan, made, key)
        except Timeout as waited:
            why = "the wait was cancelled" if cancelled() else "it has been building for too long"
            raise EngineBuildFailed(f"another process builds this engine, and {why}") from waited

    def forget(self, key: PlanKey) -> None:
        """Remove a plan that proved unfit."""
        for path in reversed(self._paths(key)):
            path.unlink(missing_ok=True)

    def _remove_outdated(self, key: PlanKey) -> None:
        """Remove what an update of library or driver has left: else a cache only grows.

        What is open elsewhere was read whole. Another set of profiles is no update: it stays.
        """
        for path in self._manifests.glob("*.json"):
            # What is broken, or in another process's hands, is not worth a finished plan.
            with suppress(EngineIncompatible, OSError):
                known = _read_manifest(path).key
                if (known.source, known.gpu) != (key.source, key.gpu):
                    continue
                if replace(known, batches=key.batches) != key:
                    with self._lock(known).acquire(timeout=0):
                        self.forget(known)

    def _lock(self, key: PlanKey) -> FileLock:
        return FileLock(self._locks / f"{key.digest[:32]}.lock")

    def _find_or_forget(self, key: PlanKey) -> bytes | None:
        """What is there, if it is sound; what is not makes room."""
        try:
            return self.find(key)
        except EngineIncompatible:
            self.forget(key)
            return None

    def _clear_leftovers(self, key: PlanKey) -> None:
        """What builds left that were killed; under the lock nobody else is writing."""
        for leftover in self._plans.glob(f"{key.digest}.*.part"):
            leftover.unlink(missing_ok=True)

    def _paths(self, key: PlanKey) -> tuple[Path, Path]:
        return self._plans / f"{key.digest}.plan", self._manifests / f"{key.digest}.json"


def read_plan(plan: Path, manifest: PlanManifest, key: PlanKey, *, in_store: bool = False) -> bytes:
    """Read a plan that must be this one.

    Args:
        plan: The file.
        manifest: What it should be.
        key: What it must have been built for.
        in_store: Whether it lies in the model store, which others may read, and which belongs to
            root where it is baked into an image.

    Returns:
        Its bytes: exactly those that were verified, whatever becomes of the file.

    Raises:
        EngineIncompatible: If it is another, or not what the manifest says.
    """
    if manifest.key != key:
        raise EngineIncompatible(f"the plan is for {manifest.key.gpu}, {manifest.key.library}")
    try:
        _refuse_foreign(plan, in_store=in_store)
        data = plan.read_bytes()
    except OSError as missing:
        raise EngineIncompatible("the plan of a manifest is missing") from missing
    if hashlib.sha256(data).hexdigest() != manifest.plan_sha256:
        raise EngineIncompatible("the plan is not what its manifest says")
    return data


def _read_manifest(path: Path) -> PlanManifest:
    _refuse_foreign(path)
    try:
        return PlanManifest.from_metadata(json.loads(path.read_text()))
    except (OSError, ValueError) as broken:
        raise EngineIncompatible("the manifest of a plan cannot be read") from broken


def keep(written: Path, target: Path) -> None:
    """Give a finished file its name, so that it survives a power cut whole or not at all."""
    with written.open("rb") as file:
        os.fsync(file.fileno())
    written.chmod(0o600)
    written.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_own_folder(folder: Path) -> None:
    """Have a folder of this user alone.

    Raises:
        EngineIncompatible: If it is there, and another's or open to others.
    """
    folder.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
    _refuse_foreign(folder)


def _refuse_foreign(path: Path, *, in_store: bool = False) -> None:
    """Refuse what somebody else could have written: a plan is code.

    Raises:
        EngineIncompatible: If that is so.
    """
    status, user = path.lstat(), os.getuid()
    if S_ISLNK(status.st_mode):
        wrong = f"{path} is a symbolic link"
    elif status.st_uid not in ({0, user} if in_store else {user}):
        wrong = f"{path} belongs to user {status.st_uid}, not to {user}"
    elif status.st_mode & (_OTHERS_WRITE if in_store else _OTHERS):
        wrong = f"others have access; run: chmod -R {'go-w' if in_store else 'go='} {path}"
    else:
        return
    raise EngineIncompatible(
        f"what TensorRT is built of and runs must be its user's alone: {wrong}"
    )
