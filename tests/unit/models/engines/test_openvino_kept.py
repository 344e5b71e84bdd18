"""A compiled network is kept between starts, and never another one's is taken for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.artifacts import ModelFiles, sha256_of
from models.engine import EngineConfig
from models.engines.openvino import OpenVinoEngine, engine
from models.errors import EngineIncompatible
from tests.support.graphs import SIZE, expected_alpha, write_graph

BATCH = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    """The tiny network as it is registered: with its hash."""
    graph = write_graph(tmp_path)
    return ModelFiles(graph, digests={graph.name: sha256_of(graph)})


@pytest.fixture
def config(tmp_path: Path) -> EngineConfig:
    (tmp_path / "cache").mkdir()
    return EngineConfig(SIZE, SIZE, max_batch=1, cache_dir=tmp_path / "cache")


def kept(config: EngineConfig) -> list[Path]:
    assert config.cache_dir is not None
    return sorted(config.cache_dir.iterdir())


def assert_runs(files: ModelFiles, config: EngineConfig) -> None:
    opened = OpenVinoEngine(files, config)
    for _ in range(2):
        apart = opened.predict(BATCH).astype(int) - expected_alpha(BATCH).astype(int)
        assert abs(apart).max() <= 1
    opened.close()


def test_what_is_kept_is_opened_without_the_graph(files: ModelFiles, config: EngineConfig) -> None:
    assert_runs(files, config)
    (blob,) = kept(config)
    made = blob.stat().st_mtime_ns
    files.graph.write_bytes(b"nobody reads this")
    assert_runs(files, config)
    assert kept(config) == [blob]
    assert blob.stat().st_mtime_ns == made


def test_it_is_kept_for_its_shape_and_its_graph(files: ModelFiles, config: EngineConfig) -> None:
    assert_runs(files, config)
    assert_runs(files, replace(config, max_batch=4))
    assert_runs(files, replace(config, threads=1))  # of the run, not of the network
    assert len(kept(config)) == 2
    other = replace(files, digests={files.graph.name: "0" * 64})
    assert_runs(other, config)  # a graph that is not what was registered is not kept as such
    assert len(kept(config)) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-9],
        lambda data: bytes(len(data)),
        lambda data: b"something else",
    ],
)
def test_what_is_damaged_is_made_anew(
    files: ModelFiles,
    config: EngineConfig,
    damage: Callable[[bytes], bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert_runs(files, config)
    (blob,) = kept(config)
    whole = blob.read_bytes()
    blob.write_bytes(damage(whole))
    assert_runs(files, config)
    assert "is made anew" in caplog.text
    caplog.clear()
    assert_runs(files, config)
    assert caplog.text == ""
    files.graph.unlink()
    with pytest.raises(EngineIncompatible, match=r"^OpenVINO refuses graph\.onnx: "):
        OpenVinoEngine(files, config)


def test_where_nothing_can_be_kept_it_runs_all_the_same(
    files: ModelFiles, config: EngineConfig, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert_runs(files, replace(config, cache_dir=tmp_path / "file"))
    assert_runs(files, replace(config, cache_dir=None))


def test_a_large_graph_is_left_to_openvino_s_own_cache(
    files: ModelFiles, config: EngineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MOST_BYTES", 0)
    assert_runs(files, config)
    (blob,) = kept(config)
    assert_runs(files, config)
    assert kept(config) == [blob]
