"""What is installed in the image of each flavour."""

from __future__ import annotations

import re
import warnings

import pytest

with warnings.catch_warnings(action="ignore"):  # what BentoML imports is not ours to mend
    from service.container_image import Flavour, describe_image


@pytest.mark.parametrize(
    ("flavour", "there", "missing"),
    [
        (Flavour(), {"openvino"}, {"torch", "tensorrt-cu13"}),
        (Flavour(gpu=True), {"openvino", "torch", "tensorrt-cu13"}, set()),
        (Flavour(gpu=True, torch=False), {"openvino", "tensorrt-cu13"}, {"torch", "onnxscript"}),
    ],
)
def test_a_flavour_holds_what_it_is_for(
    flavour: Flavour, there: set[str], missing: set[str]
) -> None:
    packages = set(re.findall(r"^([\w-]+)==", describe_image(flavour).python_requirements, re.M))
    assert there <= packages
    assert not missing & packages
