"""What several integration tests share and takes long to make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.artefacts import HalfExport


@pytest.fixture(scope="session")
def half_export(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> HalfExport:
    """A half-precision graph exported on the way to a plan, as a service would."""
    from tests.support.artefacts import export_half  # PyTorch, which most tests do without

    return export_half(tmp_path_factory, lane=hasattr(request.config, "workerinput"))
