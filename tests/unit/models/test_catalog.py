"""The catalogue is data; these are its rules."""

from __future__ import annotations

import re

import pytest

from models.birefnet.backbones import BACKBONES
from models.catalog import ALIASES, CATALOG, custom_birefnet, find, find_by_hash
from models.errors import ModelNotFound
from models.spec import BiRefNetNetwork, HubSource, ModelSpec, Precision, WheelSource

#: The name a model has on the author's pages, and the sides it was trained at.
PUBLISHED = {
    "BiRefNet-general": ("BiRefNet", 1024, 1024),
    "BiRefNet-general-lite": ("BiRefNet_lite", 1024, 1024),
    "BiRefNet-general-lite-2K": ("BiRefNet_lite-2K", 1440, 2560),
    "BiRefNet-portrait": ("BiRefNet-portrait", 1024, 1024),
    "BiRefNet-matting": ("BiRefNet-matting", 1024, 1024),
    "BiRefNet-HR": ("BiRefNet_HR", 2048, 2048),
    "BiRefNet-HR-matting": ("BiRefNet_HR-matting", 2048, 2048),
    "BiRefNet-dynamic": ("BiRefNet_dynamic", 1024, 1024),
    "BiRefNet-512": ("BiRefNet_512x512", 512, 512),
    "BiRefNet-DIS5K": ("BiRefNet-DIS5K", 1024, 1024),
    "BiRefNet-HRSOD": ("BiRefNet-HRSOD", 1024, 1024),
    "BiRefNet-COD": ("BiRefNet-COD", 1024, 1024),
    "BiRefNet-massive": ("BiRefNet-legacy", 1024, 1024),
}
MODELS = pytest.mark.parametrize("spec", CATALOG.values(), ids=lambda spec: spec.name)
# docs of `Precision`: a faster one serves only if the edge band gets no worse than this.


@MODELS
def test_a_model_is_found_by_its_name_and_by_its_hash(spec: ModelSpec) -> None:
    assert find(spec.name) is spec
    assert spec.sha256 is None or find_by_hash(spec.sha256) is spec


@MODELS
def test_a_model_says_where_it_comes_from(spec: ModelSpec) -> None:
    assert spec.sources
    assert spec.size_bytes > 1_000_000
    assert spec.licence
    assert spec.caveat.endswith(".")
    for source in spec.sources:
        if isinstance(source, WheelSource):
            assert re.fullmatch(r"[0-9a-f]{64}", source.wheel_sha256)
            assert source.member.endswith(".onnx")
        # Without a published hash only the hub can say what the right bytes are.
        assert isinstance(source, HubSource) or re.fullmatch(r"[0-9a-f]{64}", str(spec.sha256))


@MODELS
def test_a_models_name_can_stand_in_a_header_and_a_tag(spec: ModelSpec) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9._-]*", spec.name)


@MODELS
def test_a_model_runs_in_full_precision_and_faster_ones_keep_the_picture(spec: ModelSpec) -> None:
    assert spec.precisions[Precision.F32] == 0.0
    assert list(spec.precisions)[-1] is Precision.F32
    assert spec.allowed_precisions[-1] is Precision.F32


@MODELS
def test_normalisation_is_of_values_up_to_one(spec: ModelSpec) -> None:
    assert spec.input.height % 32 == spec.input.width % 32 == 0
    assert all(0 <= mean <= 1 for mean in spec.input.mean)
    assert all(0 < std <= 1 for std in spec.input.std)


def test_ranks_are_unique_and_every_birefnet_comes_before_every_light_model() -> None:
    ranks = [spec.rank for spec in CATALOG.values()]
    assert len(set(ranks)) == len(ranks)
    assert all((spec.rank < 100) is not spec.light for spec in CATALOG.values())


def test_u2net_comes_before_u2netp() -> None:
    assert find("u2net").rank < find("u2netp").rank


def test_hashes_and_sources_are_unique() -> None:
    hashes = [spec.sha256 for spec in CATALOG.values() if spec.sha256 is not None]
    sources = [source for spec in CATALOG.values() for source in spec.sources]
    assert len(set(hashes)) == len(hashes)
    assert len(set(sources)) == len(sources)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_birefnet_is_there_at_its_training_size(name: str) -> None:
    spec = find(name)
    repository, *sides = PUBLISHED[name]
    assert [spec.input.height, spec.input.width] == sides
    assert spec.sources == (HubSource(f"ZhengPeng7/{repository}"),)
    assert (spec.licence, spec.light) == ("MIT", False)
    assert "commercial use" in spec.caveat
    assert spec.purpose.endswith(".")
    tiny = "lite" in name
    assert spec.network == BiRefNetNetwork("swin_v1_t" if tiny else "swin_v1_l")


@MODELS
def test_a_birefnet_has_a_backbone_that_exists(spec: ModelSpec) -> None:
    assert spec.backbone in ({""} if spec.light else BACKBONES)


@pytest.mark.parametrize("name", ALIASES)
def test_a_name_that_was_never_published_says_so(name: str) -> None:
    alias = ALIASES[name]
    assert name not in CATALOG
    assert alias.note.startswith(f"no {name} was ever published")
    assert find(name) is CATALOG[alias.serves]
    assert alias.serves in alias.note


def test_a_users_own_file_is_the_last_of_the_birefnets() -> None:
    spec = custom_birefnet("swin_v1_s")
    assert spec.backbone == "swin_v1_s"
    assert spec.name not in CATALOG
    assert spec.rank < min(other.rank for other in CATALOG.values() if other.light)
    assert spec.licence == "unknown"


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ModelNotFound) as refused:
        find("u2nett")
    assert "'u2nett'" in str(refused.value)
    for name in CATALOG:
        assert name in str(refused.value)


def test_an_unknown_hash_is_no_model() -> None:
    assert find_by_hash("0" * 64) is None
