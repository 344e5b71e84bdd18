"""A BiRefNet in PyTorch: what its engine promises beyond what every engine does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from models.artifacts import ModelFiles
from models.birefnet import BiRefNet
from models.catalog import IMAGENET_MEAN, IMAGENET_STD
from models.engine import Engine, EngineConfig, open_engine
from models.engines.pytorch import PyTorchEngine, TorchVariant
from models.engines.pytorch.forward import InPowersOfTwo
from models.errors import (
    EngineIncompatible,
    EngineUnavailable,
    InferenceFailed,
    OutOfDeviceMemory,
)
from models.spec import Precision
from tests.support.birefnet import make_tiny_birefnet
from tests.support.checkpoints import make_state, write
from tests.support.pictures import make_noise

SIZE = 64
MAX_BATCH = 4
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
GPU = [pytest.mark.gpu, needs_cuda]


def make_config(**changes: object) -> EngineConfig:
    values = {"height": SIZE, "width": SIZE, "threads": 1, "max_batch": MAX_BATCH, "device": "cpu"}
    return EngineConfig(**{**values, **changes})  # type: ignore[arg-type]


def make_batch(n: int) -> np.ndarray:
    return np.stack([make_noise(SIZE, SIZE, seed) for seed in range(n)])


def open_tiny(variant: TorchVariant | None = None, **changes: object) -> PyTorchEngine:
    return PyTorchEngine.on_network(make_tiny_birefnet(2.0), make_config(**changes), variant)


@pytest.fixture(scope="module")
def engine() -> Iterator[PyTorchEngine]:
    opened = open_tiny()
    yield opened
    opened.close()


def test_it_says_what_runs(engine: PyTorchEngine) -> None:
    assert isinstance(engine, Engine)
    assert engine.info.name == "pytorch"
    assert engine.info.runtime == f"torch {torch.__version__}"
    assert (engine.info.device, engine.info.precision) == ("cpu", Precision.F32)


def test_mattes_are_what_the_network_says_of_normalised_pictures(engine: PyTorchEngine) -> None:
    batch = make_batch(2)
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    pictures = ((torch.from_numpy(batch) / 255 - mean) / std).permute(0, 3, 1, 2)
    expected = make_tiny_birefnet(2.0)(pictures).sigmoid()[:, 0].numpy() * 255
    alpha = engine.predict(batch)
    assert alpha.dtype == np.uint8
    assert alpha.std() > 20  # there is something to compare
    assert np.abs(alpha - expected).max() <= 0.51


@pytest.mark.parametrize("n", range(1, MAX_BATCH + 1))
def test_a_batch_gives_what_its_items_give_alone(engine: PyTorchEngine, n: int) -> None:
    batch = make_batch(n)
    alone = np.concatenate([engine.predict(item[None]) for item in batch])
    assert np.abs(engine.predict(batch).astype(int) - alone).max() <= 1


def test_pictures_that_must_not_be_written_to_are_taken(engine: PyTorchEngine) -> None:
    batch = make_batch(2)[:, ::-1]
    batch.flags.writeable = False
    assert engine.predict(batch).shape == (2, SIZE, SIZE)


def test_the_caller_owns_the_mattes(engine: PyTorchEngine) -> None:
    first = engine.predict(make_batch(1))
    kept = first.copy()
    engine.predict(make_batch(3)[2:])
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("shape", [(1, SIZE + 32, SIZE, 3), (MAX_BATCH + 1, SIZE, SIZE, 3)])
def test_another_shape_fails_and_the_engine_goes_on(
    engine: PyTorchEngine, shape: tuple[int, ...]
) -> None:
    with pytest.raises(InferenceFailed):
        engine.predict(np.zeros(shape, np.uint8))
    assert engine.predict(make_batch(1)).shape == (1, SIZE, SIZE)


def test_threads_get_their_own_mattes(engine: PyTorchEngine) -> None:
    pictures = [item[None] for item in make_batch(MAX_BATCH)]
    expected = [engine.predict(picture) for picture in pictures]
    with ThreadPoolExecutor(MAX_BATCH) as pool:
        got = list(pool.map(engine.predict, pictures))
    assert all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(got, expected, strict=True))


def test_one_thread_does_all_the_work(engine: PyTorchEngine) -> None:
    forward, seen = engine.forward, set()
    assert forward is not None

    def watched(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.add(threading.get_ident())
        return forward(image)

    engine.forward = watched
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(engine.predict, [make_batch(1)] * 4))
    finally:
        engine.forward = forward
    assert len(seen) == 1
    assert threading.get_ident() not in seen


def test_a_matte_that_is_not_made_of_numbers_is_a_failure() -> None:
    network = make_tiny_birefnet()
    network.decoder.conv_out1[0].bias.fill_(torch.nan)
    engine = PyTorchEngine.on_network(network, make_config())
    with pytest.raises(InferenceFailed, match="NaN or infinity in f32 for 2 of 2 pictures"):
        engine.predict(make_batch(2))
    engine.close()


def test_weights_beyond_the_precision_are_refused_by_name() -> None:
    network = make_tiny_birefnet()
    network.decoder.lateral_block4.conv.bias[0] = 3.4e38  # bfloat16 ends a little before
    with pytest.raises(EngineIncompatible, match=r"decoder\.lateral_block4\.conv\.bias"):
        PyTorchEngine.on_network(network, make_config(precision=Precision.BF16))


@pytest.mark.parametrize(("height", "width"), [(100, 64), (64, 100), (0, 64)])
def test_a_size_no_picture_can_have_is_refused_when_it_is_opened(height: int, width: int) -> None:
    with pytest.raises(EngineIncompatible, match=f"multiples of 32, not {height} x {width}"):
        open_tiny(height=height, width=width)


def test_a_device_that_fails_while_it_is_opened_is_unavailable() -> None:
    class Unmovable(BiRefNet):
        def to(self, *args: object, **kwargs: object) -> Unmovable:
            raise RuntimeError("CUDA error: no kernel image is available for execution")

    network = make_tiny_birefnet()
    network.__class__ = Unmovable
    with pytest.raises(EngineUnavailable, match="on cpu: CUDA error: no kernel image"):
        PyTorchEngine.on_network(network, make_config())


def test_a_closed_engine_fails_and_may_be_closed_again() -> None:
    engine = open_tiny()
    engine.close()
    engine.close()
    with pytest.raises(InferenceFailed, match="closed"):
        engine.predict(make_batch(1))


def test_bfloat16_runs_for_who_insists_and_keeps_the_picture(engine: PyTorchEngine) -> None:
    coarse = open_tiny(precision=Precision.BF16)
    off = np.abs(coarse.predict(make_batch(1)).astype(int) - engine.predict(make_batch(1)))
    coarse.close()
    assert coarse.info.precision is Precision.BF16
    assert 0 < off.mean() < 3


def test_a_cpu_runs_in_f32_whatever_else_the_model_allows() -> None:
    engine = open_tiny(precisions=(Precision.F16, Precision.BF16, Precision.F32))
    engine.close()
    assert engine.info.precision is Precision.F32


@pytest.mark.parametrize("precision", [Precision.F16, Precision.INT8])
def test_a_cpu_refuses_what_it_cannot_compute(precision: Precision) -> None:
    with pytest.raises(EngineIncompatible, match="f32, bf16"):
        open_tiny(precision=precision)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none_is_unavailable() -> None:
    with pytest.raises(EngineUnavailable, match="no CUDA device"):
        open_tiny(device="cuda")


def test_a_checkpoint_is_opened_by_its_file(tmp_path: Path) -> None:
    files = ModelFiles(tmp_path / "graph.onnx", checkpoint=write(make_state("pvt_v2_b0"), tmp_path))
    engine = open_engine("pytorch", files, make_config())
    alpha = engine.predict(make_batch(1))
    engine.close()
    assert np.all(alpha == 128)  # weights of zero: logits of zero


def test_a_model_without_a_checkpoint_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EngineIncompatible, match="published as an ONNX graph only"):
        open_engine("pytorch", ModelFiles(tmp_path / "graph.onnx"), make_config())


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "weights.safetensors"
    broken.write_bytes(b"not a checkpoint")
    with pytest.raises(EngineIncompatible):
        open_engine("pytorch", ModelFiles(broken, checkpoint=broken), make_config())


@pytest.mark.parametrize(("n", "pieces"), [(1, [1]), (4, [4]), (6, [4, 2]), (7, [4, 2, 1])])
def test_sizes_that_cost_a_search_are_powers_of_two(n: int, pieces: list[int]) -> None:
    sizes = []

    def brightness(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sizes.append(len(image))
        return image[..., 1], image[:, 0, 0, 0]

    batch = torch.from_numpy(make_batch(n))
    alpha, sound = InPowersOfTwo(brightness)(batch)
    assert torch.equal(alpha, batch[..., 1])
    assert torch.equal(sound, batch[:, 0, 0, 0])
    assert sizes == pieces


VARIANTS = [
    (TorchVariant(), Precision.F32),
    (TorchVariant(), Precision.F16),
    (TorchVariant(), Precision.BF16),
    (TorchVariant(channels_last=False), Precision.F16),
    (TorchVariant(cuda_graph=True), Precision.F32),
    (TorchVariant(cuda_graph=True), Precision.F16),
    (TorchVariant(tf32=True), Precision.F32),
    (TorchVariant(compile=True), Precision.F16),
    (TorchVariant(compile=True, cuda_graph=True), Precision.F16),
]
# Levels of 255, on average; TF32 keeps as many bits as half precision.
FAR = {Precision.F32: 0.05, Precision.F16: 0.5, Precision.BF16: 3.0}


@pytest.mark.parametrize(("variant", "precision"), VARIANTS, ids=str)
class TestOnCuda:
    pytestmark = GPU

    def test_mattes_are_those_of_the_cpu(
        self, engine: PyTorchEngine, variant: TorchVariant, precision: Precision
    ) -> None:
        if precision is Precision.BF16 and not torch.cuda.is_bf16_supported(False):
            pytest.skip("this device has no bf16")
        fast = open_tiny(variant, device="cuda", precision=precision, pin_memory=True)
        with ThreadPoolExecutor(1) as another_thread:
            for n in (3, 1, 4, 3):  # sizes are recorded in another order than they are replayed
                expected = engine.predict(make_batch(n)).astype(int)
                for alpha in (
                    fast.predict(make_batch(n)),
                    another_thread.submit(fast.predict, make_batch(n)).result(),
                ):
                    far = FAR[Precision.F16 if variant.tf32 else precision]
                    assert np.abs(alpha - expected).mean() < far
        fast.close()


@pytest.mark.gpu
@needs_cuda
def test_a_search_is_made_for_powers_of_two_only() -> None:
    engine = open_tiny(device="cuda", cudnn_benchmark=True)
    assert isinstance(engine.forward, InPowersOfTwo)
    engine.close()
    torch.backends.cudnn.benchmark = False


@pytest.mark.gpu
@needs_cuda
def test_a_lack_of_device_memory_says_how_much_there_was() -> None:
    engine = open_tiny(device="cuda", height=512, width=512, max_batch=8)
    torch.cuda.empty_cache()
    held = torch.cuda.memory_reserved() + 2**24
    torch.cuda.set_per_process_memory_fraction(held / torch.cuda.mem_get_info()[1])
    try:
        with pytest.raises(OutOfDeviceMemory) as raised:
            engine.predict(np.zeros((8, 512, 512, 3), np.uint8))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    fields = raised.value.fields
    assert fields["gpu_memory_required_mb"] > fields["gpu_memory_available_mb"] > 0
    assert engine.predict(np.zeros((1, 512, 512, 3), np.uint8)).shape == (1, 512, 512)
    engine.close()
