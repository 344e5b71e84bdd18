"""Several models at once: each in its own process, chosen by name, healed and stopped alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from tests.support.pictures import make_image
from tests.support.problems import assert_problem
from tests.support.server import BOTH, NO_LIMITS, PREFIX, REPOSITORY, BentoServer, slow_picture

SERVICES = {"u2net": "inference_u2net", "u2netp": "inference_u2netp"}
Start = Callable[..., AbstractContextManager[BentoServer]]


def test_each_has_a_process_and_a_log_of_its_own(both: BentoServer) -> None:
    assert set(both.workers()) == {"background_removal", *SERVICES.values()}
    for name, service in SERVICES.items():
        assert re.search(rf"{service} .*serving {name}:", both.log())
    assert re.search(r"the models take about \d\.\d GB of memory: u2net 0\.\d GB", both.log())
    metrics = both.metrics()
    for service in SERVICES.values():
        name = f'background_removal_process_memory_bytes{{process="{service}"}}'
        assert metrics[name] > 20e6


@pytest.mark.parametrize(
    ("asked", "served"),
    [(None, "u2net"), ("auto", "u2net"), ("u2net", "u2net"), ("U2NETP", "u2netp")],
)
def test_a_caller_chooses_by_name_and_gets_the_best_otherwise(
    both: BentoServer, asked: str | None, served: str
) -> None:
    options = {"model": asked} if asked else {}
    for path in (f"{PREFIX}/remove", "/remove_background"):
        answer = both.remove(make_image("PNG"), path=path, **options)
        assert answer.headers["x-model-version"] == served


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("BiRefNet-general", "served are u2net, u2netp"),
        ("x" * 500, "model: Expected"),
        ("anime", "no BiRefNet-anime was ever published: ToonOut"),
        ("product", "no BiRefNet-product was ever published"),
    ],
)
def test_what_is_not_served_is_refused_by_name(both: BentoServer, asked: str, told: str) -> None:
    answer = both.remove(make_image("PNG"), model=asked)
    assert told in assert_problem(answer, "INVALID_REQUEST")["detail"]


def test_the_list_says_what_each_is_and_what_runs_it(both: BentoServer) -> None:
    listed = both.get(f"{PREFIX}/models").json()["models"]
    assert [one["name"] for one in listed] == ["u2net", "u2netp"]
    for one in listed:
        assert (one["engine"], one["available"], one["licence"]) == ("fake", True, "Apache-2.0")
        assert "DUTS" in one["caveat"]
    info = both.get(f"{PREFIX}/info").json()
    assert (info["models"], info["default_model"]) == (["u2net", "u2netp"], "u2net")


@pytest.mark.full
def test_one_is_killed_and_the_other_does_not_notice(store: Path) -> None:
    answers: dict[str, list[httpx.Response]] = {name: [] for name in SERVICES}
    over = threading.Event()
    with BentoServer(store, {**BOTH, **NO_LIMITS}) as server:

        def load(name: str) -> None:
            while not over.is_set():
                answers[name].append(server.remove(make_image("PNG"), model=name))
                time.sleep(0.05)

        callers = [threading.Thread(target=load, args=(name,)) for name in (*SERVICES, *SERVICES)]
        for caller in callers:
            caller.start()
        try:
            time.sleep(1)
            killed = server.workers()["inference_u2netp"]
            killed.kill()
            server.wait_for(lambda: _replaced(server, killed.pid), 20, "replaced")
            server.wait_for(lambda: not _silent(server), 40, "healed")
            before = len(answers["u2netp"])
            server.wait_for(lambda: len(answers["u2netp"]) > before + 3, 20, "served again")
        finally:
            over.set()
            for caller in callers:
                caller.join(40)
    assert {answer.status_code for answer in answers["u2net"]} == {200}
    assert {answer.status_code for answer in answers["u2netp"]} <= {200, 503}
    assert answers["u2netp"][-1].status_code == 200


def _replaced(server: BentoServer, number: int) -> bool:
    """Whether there is another process of u2netp; until it answers, health says so and serves."""
    if _silent(server):
        assert server.health()["status"] == "degraded"
    worker = server.workers().get("inference_u2netp")
    return worker is not None and worker.pid != number


def _silent(server: BentoServer) -> bool:
    return any(reason.startswith("u2netp: the inf") for reason in server.health()["reasons"])


@pytest.mark.full
def test_all_of_them_end_together_and_lose_no_request(store: Path) -> None:
    slow = slow_picture(1)
    with BentoServer(store, {**BOTH, **NO_LIMITS}) as server, ThreadPoolExecutor(8) as threads:
        names = [*SERVICES] * 4
        begun = [threads.submit(server.remove, slow, model=name) for name in names]
        inside = "background_removal_requests_in_progress"  # with the one that asks

        def all_are_here() -> bool:
            return server.metrics()[inside] - 1 + sum(one.done() for one in begun) >= len(names)

        server.wait_for(all_are_here, 30, "at work")
        server.terminate()
        answers = [answer.result() for answer in begun]
        assert [answer.status_code for answer in answers] == [200] * 8, server.log()
        assert [answer.headers["x-model-version"] for answer in answers] == names
        assert server.wait_for_end() == 0
        assert server.survivors(within_s=1) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"BIREFNET_MODEL": "u2netp"}, "takes the place of BIREFNET_MODEL"),
        ({"BIREFNET_MODELS": "u2net,u2net"}, "a model is named twice"),
        ({"BIREFNET_MODELS": "u2net,modnet"}, "make model MODEL=modnet"),
        ({"BIREFNET_MODELS": "u2net,nonsense"}, "no model is called 'nonsense'"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_sentence(
    store: Path, settings: dict[str, str], told: str
) -> None:
    server = BentoServer(store, {**BOTH, **settings})
    server.launch()
    assert server.wait_for_end() == 1
    assert told in server.log()
    assert "Traceback" not in server.log()
    server.close()


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_bento_serves_all_it_was_built_with_or_one_of_them(store: Path, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(store)
    home = {**os.environ, "BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    words = [sys.executable, "-m", "bentoml", "build", "-o", "tag"]

    def build(**environment: str) -> str:
        told = subprocess.run(
            words,
            env=home | environment,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        version = told.strip().rpartition(":")[2]
        return str(tmp_path / "bentos" / "background_removal" / version)

    two, one = build(BIREFNET_MODELS="u2net,u2netp"), build(BIREFNET_MODEL="u2netp")
    plain = {"BIREFNET_ENGINE": "fake", "BIREFNET_MODEL": "", "PYTHONPATH": ""}
    with BentoServer(store, plain, two) as server:
        assert set(server.workers()) == {"background_removal", *SERVICES.values()}
        assert server.remove(make_image("PNG"), model="u2netp").status_code == 200
    with BentoServer(store, {**plain, "BIREFNET_MODEL": "u2netp"}, two) as server:
        assert set(server.workers()) == {"background_removal", "inference_u2netp"}
    refused = BentoServer(store, {**plain, "BIREFNET_MODELS": "u2net,u2netp"}, one)
    refused.launch()
    assert refused.wait_for_end() == 1
    assert (
        "make bento BIREFNET_MODELS=u2netp" in refused.log() or "was not built to" in refused.log()
    )
    assert "Traceback" not in refused.log()
    refused.close()
