"""Get a model ready to be measured: find its files, or export them in a process of their own.

`python -m scripts.benchmark.files --help` is that process: exporting takes memory that would
otherwise be missing while engines are measured.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.artifacts import ModelFiles
from models.catalog import CATALOG, IMAGENET_MEAN, IMAGENET_STD
from models.spec import InputSpec, Precision
from models.store.registered import resolve
from scripts.command import Unusable, run_command
from scripts.measuring.processes import REPOSITORY

#: How the name of a model begins that is no trained one, but reproducible.
SEEDED = "seeded:"
#: How deformable convolution may be written; `models.export.birefnet.DeformForm` without torch.
FORMS = ("operator", "decomposed")


@dataclass(frozen=True)
class Subject:
    """A model that can be measured.

    Attributes:
        name: As it was asked for.
        height: Rows of the model input, in pixels.
        width: Columns of the model input, in pixels.
        precisions: Precisions it may run in, fastest first.
        files: What engines open.
        graphs: Its graph by form, where it was exported in several.
        caveat: What a reader of its numbers must know.
    """

    name: str
    height: int
    width: int
    precisions: tuple[Precision, ...]
    files: ModelFiles
    graphs: dict[str, Path]
    caveat: str

    def files_in(self, form: str | None) -> ModelFiles:
        """The files with the graph in a form; None is the one that is served."""
        return self.files if form is None else replace(self.files, graph=self.graphs[form])

    @property
    def reference(self) -> str:
        """The engine its mattes are compared with, in f32."""
        return "pytorch" if self.files.checkpoint else "onnxruntime"


def find_subject(name: str, size: int, forms: Sequence[str], scratch: Path) -> Subject:
    """Get a model ready, and the forms of its graph that will be needed.

    Args:
        name: A registered model of the catalogue, ``seeded:`` and a backbone, or a backbone.
        size: Side of the model input of a seeded model; a registered one has its own.
        forms: Forms of the graph.
        scratch: Folder for what has to be exported.

    Raises:
        ModelNotFound: If it is a name of the catalogue and not registered.
        Unusable: If it is no backbone either, or could not be exported.
    """
    if name in CATALOG:
        return _registered(name, forms, scratch)
    return _seeded(name.removeprefix(SEEDED), size, forms, scratch)


def _registered(name: str, forms: Sequence[str], scratch: Path) -> Subject:
    model = resolve(name)
    height, width = model.spec.input.height, model.spec.input.width
    graphs = {}
    if forms and model.files.checkpoint is not None:
        source = ["--checkpoint", str(model.files.checkpoint)]
        graphs = _export(source, height, width, forms, scratch)
    return Subject(
        name=name,
        height=height,
        width=width,
        precisions=model.spec.allowed_precisions,
        files=model.files,
        graphs=graphs,
        caveat=f"registered as {model.tag}",
    )


def _seeded(backbone: str, size: int, forms: Sequence[str], scratch: Path) -> Subject:
    """Seeded weights: the served form of the graph is the operator form."""
    wanted = sorted({FORMS[0], *forms})
    graphs = _export(["--backbone", backbone], size, size, wanted, scratch)
    return Subject(
        name=f"{SEEDED}{backbone}",
        height=size,
        width=size,
        precisions=(Precision.F16, Precision.BF16, Precision.F32),
        files=ModelFiles(graphs[FORMS[0]], checkpoint=scratch / _WEIGHTS),
        graphs=graphs,
        caveat="seeded weights: speed and arithmetic are real, the mattes mean nothing",
    )


_WEIGHTS = "weights.safetensors"


def _export(
    source: list[str], height: int, width: int, forms: Sequence[str], folder: Path
) -> dict[str, Path]:
    size = ["--height", str(height), "--width", str(width), "--folder", str(folder)]
    command = [sys.executable, "-m", "scripts.benchmark.files", *source, *size, "--forms", *forms]
    done = subprocess.run(command, check=False, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        why = done.stderr.strip().splitlines() or [f"exporting ended with {done.returncode}"]
        raise Unusable(why[-1].removeprefix("benchmark_files: "))
    return {form: folder / f"{form}.onnx" for form in forms}


def main(arguments: list[str] | None = None) -> int:
    """Write weights and graphs into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--backbone", help="seeded weights for this backbone")
    source.add_argument("--checkpoint", type=Path, help="weights from this file")
    parser.add_argument("--height", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS[:1])
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args(arguments)

    from safetensors.torch import save_file

    from models.birefnet.backbones import BACKBONES
    from models.birefnet.checkpoint import load_birefnet
    from models.export.birefnet import DeformForm, export_birefnet
    from scripts.measuring.seeded_network import TINY, seeded_network

    if options.backbone:
        if options.backbone not in (TINY, *BACKBONES):
            there = f"backbones: {', '.join(BACKBONES)}"
            raise Unusable(f"no model of the catalogue and no backbone is called so; {there}")
        network = seeded_network(options.backbone)
        save_file(network.state_dict(), options.folder / _WEIGHTS)
    else:
        network = load_birefnet(options.checkpoint)
    spec = InputSpec(options.height, options.width, IMAGENET_MEAN, IMAGENET_STD)
    for form in options.forms:
        export_birefnet(network, spec, options.folder / f"{form}.onnx", DeformForm(form))
    return 0


if __name__ == "__main__":
    run_command(main)
