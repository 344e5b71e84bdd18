"""What a test of TensorRT stands on: a machine with a fake device, and a model store of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from bentoml._internal.models import ModelStore
from bentoml.container import BentoMLContainer

from models.catalog import CATALOG
from models.engines.trt.open import MACHINE
from models.store.register import identify, register
from models.store.registered import RegisteredModel
from tests.support.fake_cuda import FakeDevice, FakeDriver, FakePlanRuntime
from tests.support.graphs import make_spec, write_checkpoint


def put_in_device(monkeypatch: pytest.MonkeyPatch, device: FakeDevice, **runtime: object) -> None:
    """Give this machine a CUDA device.

    Args:
        monkeypatch: Takes it out again.
        device: The device.
        runtime: How its plan runtime misbehaves; see `FakePlanRuntime`.
    """
    drivers: list[FakeDriver] = []

    def open_driver() -> FakeDriver:
        drivers.append(FakeDriver(device))
        return drivers[-1]

    open_runtime = partial(FakePlanRuntime, **runtime)  # type: ignore[arg-type]
    monkeypatch.setattr(MACHINE, "probe", lambda: None)
    monkeypatch.setattr(MACHINE, "open_driver", open_driver)
    monkeypatch.setattr(MACHINE, "open_runtime", lambda _library: open_runtime(drivers[-1]))


@contextmanager
def model_store(home: Path) -> Iterator[Path]:
    """A BentoML model store of a test's own; its folder."""
    folder = home / "models"
    folder.mkdir(parents=True)
    container = BentoMLContainer
    with (
        container.bentoml_home.patch(str(home)),
        container.model_store_dir.patch(str(folder)),
        container.model_store.patch(ModelStore(str(folder))),
    ):
        yield folder


@contextmanager
def registered_tiny(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RegisteredModel]:
    """The tiny network of `tests.support.graphs`, registered in a store of its own."""
    spec = make_spec(sha256=None)
    monkeypatch.setitem(CATALOG, spec.name, spec)
    with model_store(folder / "home"):
        yield register(identify(write_checkpoint(folder), spec.name))
