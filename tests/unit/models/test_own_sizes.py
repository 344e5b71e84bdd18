"""Every BiRefNet of the catalogue has a template of its own size, for either form."""

from __future__ import annotations

import pytest

from models.catalog import CATALOG
from models.spec import BiRefNetNetwork, ModelSpec
from models.templates.template import Form, template_file

BIREFNETS = [spec for spec in CATALOG.values() if isinstance(spec.network, BiRefNetNetwork)]


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("spec", BIREFNETS, ids=lambda spec: spec.name)
def test_there_is_a_template_of_its_size(spec: ModelSpec, form: Form) -> None:
    assert template_file(spec.backbone, spec.input.height, spec.input.width, form).is_file()
