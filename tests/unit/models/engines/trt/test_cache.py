from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from models.engines.trt.cache import PlanCache, read_plan
from models.engines.trt.plan import PlanKey, PlanManifest
from models.errors import EngineBuildFailed, EngineIncompatible
from tests.unit.models.engines.trt.test_plan import KEY, OTHER

PLAN = b"a plan" * 1000


def write_plan(key: PlanKey, target: Path, data: bytes = PLAN) -> PlanManifest:
    target.write_bytes(data)
    return PlanManifest(key, "c" * 64, hashlib.sha256(data).hexdigest(), len(data), 0.1)


def build(cache: PlanCache, key: PlanKey = KEY, data: bytes = PLAN) -> bytes:
    return cache.build_once(key, lambda target: write_plan(key, target, data))


def never(_target: Path) -> PlanManifest:
    raise AssertionError("built again")


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")


def test_what_was_built_is_found_and_not_built_again(tmp_path: Path) -> None:
    assert build(PlanCache(tmp_path / "plans")) == PLAN
    cache = PlanCache(tmp_path / "plans")
    assert cache.find(KEY) == PLAN
    assert cache.build_once(KEY, never) == PLAN


@pytest.mark.parametrize("part", OTHER)
def test_a_plan_is_not_found_under_a_key_that_differs_in_one_part(
    tmp_path: Path, part: str
) -> None:
    cache = PlanCache(tmp_path)
    build(cache)
    other = replace(KEY, **{part: OTHER[part]})
    assert cache.find(other) is None


@pytest.mark.parametrize("part", OTHER)
def test_a_plan_carried_to_the_place_of_another_key_is_refused(tmp_path: Path, part: str) -> None:
    cache = PlanCache(tmp_path)
    build(cache)
    other = replace(KEY, **{part: OTHER[part]})
    for folder, suffix in (("plans", "plan"), ("manifests", "json")):
        here = tmp_path / folder / f"{KEY.digest}.{suffix}"
        here.rename(here.with_name(f"{other.digest}.{suffix}"))
    with pytest.raises(EngineIncompatible, match="the plan is for"):
        cache.find(other)


def test_a_changed_plan_is_refused_and_built_anew(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    build(cache)
    plan = tmp_path / "plans" / f"{KEY.digest}.plan"
    plan.write_bytes(PLAN[:-1] + b"!")
    with pytest.raises(EngineIncompatible, match="not what its manifest says"):
        cache.find(KEY)
    assert build(cache) == PLAN
    assert cache.find(KEY) == PLAN


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"key": 3}', "\x00\xff"])
def test_a_broken_manifest_is_refused(tmp_path: Path, content: str) -> None:
    cache = PlanCache(tmp_path)
    build(cache)
    (tmp_path / "manifests" / f"{KEY.digest}.json").write_text(content)
    with pytest.raises(EngineIncompatible):
        cache.find(KEY)


def test_a_manifest_that_vouches_for_another_plan_is_refused(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    build(cache)
    manifest = tmp_path / "manifests" / f"{KEY.digest}.json"
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**told, "plan_sha256": "0" * 64}))
    with pytest.raises(EngineIncompatible):
        cache.find(KEY)


def test_a_manifest_without_its_plan_is_refused(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    build(cache)
    (tmp_path / "plans" / f"{KEY.digest}.plan").unlink()
    with pytest.raises(EngineIncompatible):
        cache.find(KEY)


@pytest.mark.parametrize("part", OTHER)
def test_a_build_replaces_what_another_library_or_driver_was_built_for_and_nothing_else(
    tmp_path: Path, part: str
) -> None:
    cache, other = PlanCache(tmp_path), replace(KEY, **{part: OTHER[part]})
    build(cache, other)
    build(cache)
    stays = part in ("source", "gpu", "batches")
    assert cache.find(other) == (PLAN if stays else None)
    assert cache.find(KEY) == PLAN
    assert len(files(tmp_path)) == (4 if stays else 2)


def test_a_build_that_fails_replaces_nothing(tmp_path: Path) -> None:
    def fail(_target: Path) -> PlanManifest:
        raise EngineBuildFailed("no")

    cache, older = PlanCache(tmp_path), replace(KEY, library=OTHER["library"])
    build(cache, older)
    with pytest.raises(EngineBuildFailed):
        cache.build_once(KEY, fail)
    assert cache.find(older) == PLAN


def test_what_another_process_is_busy_with_is_not_replaced(tmp_path: Path) -> None:
    cache, older = PlanCache(tmp_path), replace(KEY, library=OTHER["library"])
    build(cache, older)
    with FileLock(tmp_path / f"{older.digest[:32]}.lock"):
        build(cache)
    assert cache.find(older) == PLAN


def test_a_manifest_that_cannot_be_read_is_in_nobodys_way(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    older, broken = replace(KEY, library=OTHER["library"]), replace(KEY, driver_major="")
    for key in (older, broken):
        build(cache, key)
    (tmp_path / "manifests" / f"{broken.digest}.json").write_text("{}")
    assert build(cache) == PLAN
    assert cache.find(older) is None


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(target: Path) -> PlanManifest:
        target.write_bytes(PLAN[:100])
        raise EngineBuildFailed("no")

    cache = PlanCache(tmp_path)
    with pytest.raises(EngineBuildFailed, match="no"):
        cache.build_once(KEY, fail)
    assert files(tmp_path) == []
    assert build(cache) == PLAN


def test_everything_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "plans"
    build(PlanCache(folder))
    for path in (folder, folder / "plans", folder / "manifests"):
        assert path.stat().st_mode & 0o777 == 0o700
    for kind in ("plans", "manifests"):
        for file in (folder / kind).iterdir():
            assert file.stat().st_mode & 0o777 == 0o600


def test_a_folder_others_may_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans").chmod(0o777)
    with pytest.raises(EngineIncompatible, match="chmod"):
        PlanCache(tmp_path)


def test_a_plan_others_may_write_is_refused(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    build(cache)
    (tmp_path / "plans" / f"{KEY.digest}.plan").chmod(0o666)
    with pytest.raises(EngineIncompatible, match="chmod"):
        cache.find(KEY)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    PlanCache(tmp_path / "c")
    os.chown(tmp_path / "c" / "plans", 12345, 12345)
    with pytest.raises(EngineIncompatible, match="belongs to user 12345, not to 0"):
        PlanCache(tmp_path / "c")


def test_a_folder_that_is_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "c").symlink_to("elsewhere")
    with pytest.raises(EngineIncompatible, match="c is a symbolic link"):
        PlanCache(tmp_path / "c")


def test_a_plan_of_the_store_that_others_may_write_may_stay_readable_to_them(
    tmp_path: Path,
) -> None:
    cache = PlanCache(tmp_path)
    build(cache)
    plan = tmp_path / "plans" / f"{KEY.digest}.plan"
    plan.chmod(0o666)
    with pytest.raises(EngineIncompatible, match="chmod -R go-w "):
        read_plan(plan, cache.manifest(KEY), KEY, in_store=True)


def _build_slowly(folder: Path, started: Path, seconds: float) -> None:
    def slow(target: Path) -> PlanManifest:
        with started.open("a") as log:
            log.write("built\n")
        target.write_bytes(PLAN[:10])
        time.sleep(seconds)
        return write_plan(KEY, target)

    PlanCache(folder).build_once(KEY, slow)


def test_of_two_processes_that_ask_at_once_one_builds(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    started = tmp_path / "started"
    both = [
        context.Process(target=_build_slowly, args=(tmp_path / "c", started, 1.5)) for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    assert started.read_text() == "built\n"
    assert PlanCache(tmp_path / "c").find(KEY) == PLAN


def test_a_killed_build_leaves_nothing_that_is_served_and_the_next_cleans_up(
    tmp_path: Path,
) -> None:
    context = multiprocessing.get_context("spawn")
    started = tmp_path / "started"
    process = context.Process(target=_build_slowly, args=(tmp_path / "c", started, 60))
    process.start()
    deadline = time.monotonic() + 30
    while not list((tmp_path / "c").rglob("*.part")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join(30)
    cache = PlanCache(tmp_path / "c")
    assert cache.find(KEY) is None
    assert build(cache) == PLAN
    assert files(tmp_path / "c") == sorted([f"{KEY.digest}.plan", f"{KEY.digest}.json"])


def test_who_waits_too_long_for_anothers_build_is_told(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    started = tmp_path / "started"
    process = context.Process(target=_build_slowly, args=(tmp_path / "c", started, 30))
    process.start()
    try:
        deadline = time.monotonic() + 30
        while not started.is_file():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(EngineBuildFailed, match="too long"):
            PlanCache(tmp_path / "c").build_once(KEY, never, patience_s=0.2)
    finally:
        process.kill()
        process.join(30)
