"""A manifest says what a graph was made of, and notices when that is no longer so."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from models.artifacts import GRAPH_VERSION
from models.errors import CheckpointError
from models.store.manifest import Manifest
from tests.support.graphs import make_spec

MANIFEST = Manifest(
    model="tiny",
    architecture="Tiny",
    checkpoint_sha256="0" * 64,
    files={"graph.onnx": "1" * 64},
    graph_version=GRAPH_VERSION,
    origin="file@tiny.onnx",
    backbone="",
    height=64,
    width=64,
    licence="Apache-2.0",
    runtime="onnx 1.0",
)


def test_a_manifest_comes_back_from_json_as_it_went() -> None:
    stored = json.loads(json.dumps(MANIFEST.as_metadata()))
    assert Manifest.from_metadata(stored) == MANIFEST


def test_what_a_newer_version_added_is_ignored() -> None:
    assert Manifest.from_metadata({**MANIFEST.as_metadata(), "later": 1}) == MANIFEST


@pytest.mark.parametrize("name", MANIFEST.as_metadata())
def test_metadata_that_lacks_anything_is_no_manifest(name: str) -> None:
    metadata = {key: value for key, value in MANIFEST.as_metadata().items() if key != name}
    with pytest.raises(CheckpointError, match=name):
        Manifest.from_metadata(metadata)


def test_a_manifest_fits_the_entry_it_was_made_from() -> None:
    assert MANIFEST.fits(make_spec())


def test_a_hash_nobody_published_may_be_any() -> None:
    assert replace(MANIFEST, checkpoint_sha256="2" * 64).fits(make_spec(sha256=None))


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "other"},
        {"checkpoint_sha256": "2" * 64},
        {"backbone": "swin_v1_t"},
        {"height": 32},
        {"width": 32},
        {"graph_version": GRAPH_VERSION - 1},
    ],
    ids=str,
)
def test_a_stale_or_foreign_manifest_does_not_fit(changes: dict[str, object]) -> None:
    assert not replace(MANIFEST, **changes).fits(make_spec())  # type: ignore[arg-type]
