"""Every command and example: what it does is told, and what is wrong is one sentence."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = [
    file
    for file in [*sorted(ROOT.glob("scripts/**/*.py")), *sorted(ROOT.glob("examples/*.py"))]
    if '__name__ == "__main__"' in file.read_text()
]
NOBODY = "http://127.0.0.1:9"  # the discard port: refused at once
PHOTO = "examples/photos/coffee.jpg"


def run(name: str, *words: str, without: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script or an example as its documentation says.

    Args:
        name: Such as `scripts/measuring/soak.py`.
        words: Its arguments.
        without: Folder that is searched for modules first.
    """
    script = ROOT / name
    module = name.removesuffix(".py").removesuffix("/__main__").replace("/", ".")
    start = [str(script)] if script.parent.name == "examples" else ["-m", module]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "BENTOML_DO_NOT_TRACK": "True"}
    if without is not None:
        environment["PYTHONPATH"] = str(without)
    return subprocess.run(
        [sys.executable, *start, *words],
        cwd=ROOT,
        env={**environment, "BENTOML_HOME": "/tmp/no-models-are-here"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def said_in_one_sentence(ran: subprocess.CompletedProcess[str]) -> str:
    """The sentence a command ended with; fails if there was more, or none."""
    assert ran.returncode != 0
    assert "Traceback" not in ran.stderr + ran.stdout, ran.stderr
    lines = [line.split("\r")[-1] for line in ran.stderr.strip().splitlines()]
    lines = [line for line in lines if not line.startswith((" ", "usage:"))]  # of argparse
    assert len(lines) == 1, ran.stderr
    assert ran.stdout.strip() == ""
    return lines[0]


@pytest.fixture(scope="module")
def no_torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that hides PyTorch, which the base install does not have."""
    folder = tmp_path_factory.mktemp("without")
    missing = "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')"
    (folder / "torch.py").write_text(missing)
    return folder


@pytest.fixture(scope="module")
def helped(no_torch: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    """What each command says to --help on the base install."""
    names = [str(file.relative_to(ROOT)) for file in COMMANDS]
    with ThreadPoolExecutor(4) as pool:
        ran = pool.map(lambda name: run(name, "--help", without=no_torch), names)
        return dict(zip(names, ran, strict=True))


@pytest.mark.parametrize("file", COMMANDS, ids=lambda file: file.stem)
def test_every_command_says_what_it_does(
    file: Path, helped: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    ran = helped[str(file.relative_to(ROOT))]
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("usage: ")
    assert ran.stderr == ""


@pytest.mark.parametrize("file", COMMANDS, ids=lambda file: file.stem)
def test_every_command_ends_by_one_mechanism(file: Path) -> None:
    if file.parent.name == "scripts" and "worker" not in file.stem:
        assert file.read_text().rstrip().endswith("run_command(main)")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (
            f"scripts/measuring/load.py --image {PHOTO} --url {NOBODY} --requests 2",
            "start the service",
        ),
        (f"scripts/measuring/load.py --image {PHOTO} --url nonsense", "nonsense is no address"),
        (
            f"scripts/measuring/load.py --image {PHOTO} --url http://[::1",
            "no address: Invalid port",
        ),
        ("scripts/measuring/load.py --image nowhere.jpg", "nowhere.jpg: No such file"),
        ("scripts/measuring/load.py --image examples", "examples: Is a directory"),
        (f"scripts/measuring/load.py --image {PHOTO} --requests 0", "0 is no whole number"),
        ("scripts/measuring/soak.py --model nonsense", "no model is called 'nonsense'"),
        ("scripts/evaluate/calibrate.py --model nonsense", "no model is called 'nonsense'"),
        ("scripts/evaluate/__main__.py --no-sod --model nonsense", "no model is called 'nonsense'"),
        ("scripts/evaluate/__main__.py --no-sod --images nowhere --truth nowhere", "nowhere"),
        ("scripts/evaluate/__main__.py --against rembg --model modnet", "not modnet"),
        ("scripts/download_model.py --model nonsense", "no model is called 'nonsense'"),
        ("scripts/download_model.py --from-file nowhere.onnx", "there is no file nowhere.onnx"),
        ("scripts/register_model.py --from-file nowhere.pth", "there is no file nowhere.pth"),
        ("scripts/register_model.py --from-file README.md", "neither a .safetensors nor a .pth"),
        ("scripts/build_engine.py --model u2netp", "u2netp"),
        ("scripts/judge_precision.py --model nonsense", "no model is called 'nonsense'"),
        ("scripts/warmup_tensorrt.py --model u2netp", "u2netp"),
        ("scripts/benchmark/__main__.py --photos nowhere", "no photograph (.jpg, .png) in nowhere"),
        ("scripts/benchmark/__main__.py --model u2netp", "u2netp"),
        ("scripts/benchmark/__main__.py --engines nonsense", "no engine is called 'nonsense'"),
        ("scripts/benchmark/worker.py nonsense", "invalid loads value: 'nonsense'"),
        ("scripts/gpu_check/__main__.py --batches 0", "0 is no whole number"),
        ("scripts/gpu_check/pack.py --parts nonsense", "invalid choice: 'nonsense'"),
        ("scripts/gpu_check/pack.py --piece-mb 0", "0 is no whole number"),
        ("scripts/rembg/bench.py --models nonsense", "invalid choice: 'nonsense'"),
        ("scripts/rembg/bench.py --rembg-python /nowhere/python", "has no rembg beside it"),
        ("scripts/model_pictures.py nonsense", "no model is called 'nonsense'"),
        (
            "scripts/model_pictures.py u2net --photos nowhere",
            "no photograph (.jpg, .png) in nowhere",
        ),
        ("scripts/rembg/commands.py --models modnet", "invalid choice: 'modnet'"),
        ("scripts/rembg/commands.py --turns 0", "0 is no whole number"),
        ("scripts/keys.py list", "set BIREFNET_KEYS_FILE, or give --file"),
        ("scripts/keys.py --file nowhere.json list", "nowhere.json cannot be read"),
        ("scripts/write_docs.py --nonsense", "unrecognized arguments"),
        (f"examples/sync_client.py {PHOTO} out.png {NOBODY}", f"sent to {NOBODY}: "),
        (f"examples/sync_client.py {PHOTO} out.png nonsense", "sent to nonsense: "),
        (f"examples/sync_client.py nowhere.jpg out.png {NOBODY}", "nowhere.jpg: there is no such"),
        ("examples/sync_client.py", "arguments are required: source, target"),
        ("examples/async_client.py", "arguments are required: sources, targets"),
        (f"examples/async_client.py nowhere out {NOBODY}", "nowhere: no folder with pictures"),
        (f"examples/async_client.py docs out {NOBODY}", "docs: no folder with pictures"),
        (f"examples/one_picture.py {PHOTO} out.png {NOBODY}", f"{PHOTO}: "),
        (f"examples/one_picture.py nowhere.jpg out.png {NOBODY}", "nowhere.jpg"),
        (f"examples/batch.py docs out {NOBODY}", "docs: no folder with pictures"),
        (f"examples/batch.py examples/photos /tmp/cutouts-of-nobody {NOBODY}", f"{NOBODY}: "),
        ("examples/batch.py examples/photos /tmp/cutouts-of-nobody nonsense", "nonsense: "),
        (f"examples/did_video.py {PHOTO} Hello! {NOBODY}", "set D_ID_API_KEY"),
        (f"examples/async_client.py examples/photos /tmp/cutouts-of-nobody {NOBODY}", NOBODY),
    ],
)
@pytest.mark.full
def test_what_is_wrong_is_said_in_one_sentence(command: str, sentence: str) -> None:
    assert sentence in said_in_one_sentence(run(*command.split()))


@pytest.mark.parametrize(
    "command",
    [
        "scripts/gpu_check/__main__.py",
        "scripts/gpu_check/__main__.py --smoke",
        "scripts/benchmark/__main__.py",
    ],
)
def test_a_lack_of_pytorch_is_said_with_what_to_run(command: str, no_torch: Path) -> None:
    sentence = said_in_one_sentence(run(*command.split(), without=no_torch))
    assert "pip install -r requirements-torch.lock" in sentence
