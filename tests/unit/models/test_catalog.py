"""The catalogue is data; these are its rules."""

from __future__ import annotations

import re

import pytest

from models.catalog import CATALOG, find, find_by_hash
from models.errors import ModelNotFound
from models.spec import ModelSpec, Precision, WheelSource

MODELS = pytest.mark.parametrize("spec", CATALOG.values(), ids=lambda spec: spec.name)
# docs of `Precision`: a faster one serves only if the edge band gets no worse than this.
LIMIT = 0.03


@MODELS
def test_a_model_is_found_by_its_name_and_by_its_hash(spec: ModelSpec) -> None:
    assert find(spec.name) is spec
    assert find_by_hash(spec.sha256) is spec


@MODELS
def test_a_model_says_where_it_comes_from(spec: ModelSpec) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", spec.sha256)
    assert spec.sources
    assert spec.size_bytes > 1_000_000
    assert spec.licence
    assert spec.caveat.endswith(".")
    for source in spec.sources:
        if isinstance(source, WheelSource):
            assert re.fullmatch(r"[0-9a-f]{64}", source.wheel_sha256)
            assert source.member.endswith(".onnx")


@MODELS
def test_a_models_name_can_stand_in_a_header_and_a_tag(spec: ModelSpec) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9._-]*", spec.name)


@MODELS
def test_a_model_runs_in_full_precision_and_faster_ones_keep_the_picture(spec: ModelSpec) -> None:
    assert spec.precisions[Precision.F32] == 0.0
    assert list(spec.precisions)[-1] is Precision.F32
    assert all(increase <= LIMIT for increase in spec.precisions.values())


@MODELS
def test_normalisation_is_of_values_up_to_one(spec: ModelSpec) -> None:
    assert spec.input.size % 32 == 0
    assert all(0 <= mean <= 1 for mean in spec.input.mean)
    assert all(0 < std <= 1 for std in spec.input.std)


def test_ranks_are_unique_and_every_birefnet_comes_before_every_light_model() -> None:
    ranks = [spec.rank for spec in CATALOG.values()]
    assert len(set(ranks)) == len(ranks)
    assert all((spec.rank < 100) is not spec.light for spec in CATALOG.values())


def test_u2net_comes_before_u2netp() -> None:
    assert find("u2net").rank < find("u2netp").rank


def test_hashes_are_unique() -> None:
    assert len({spec.sha256 for spec in CATALOG.values()}) == len(CATALOG)


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ModelNotFound) as refused:
        find("u2nett")
    assert "'u2nett'" in str(refused.value)
    for name in CATALOG:
        assert name in str(refused.value)


def test_an_unknown_hash_is_no_model() -> None:
    assert find_by_hash("0" * 64) is None
