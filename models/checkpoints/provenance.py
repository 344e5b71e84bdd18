"""Where a checkpoint of unpublished hash came from: lies beside the file, and pins it.

The first download takes what the hub calls the newest and notes which commit and digest that was;
every later one asks for that commit and must get those bytes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from models.artifacts import write_atomically


@dataclass(frozen=True)
class Provenance:
    """One checkpoint file, verified.

    Attributes:
        model: Name in the catalogue.
        file: Name of the file it belongs to, in the same folder.
        origin: Repository on the hub, or `file` for one that was given.
        revision: Commit on the hub; of a given file its name.
        sha256: Hash of the checkpoint.
        size_bytes: Size of the checkpoint.
        recorded: Date, ISO 8601.
    """

    model: str
    file: str
    origin: str
    revision: str
    sha256: str
    size_bytes: int
    recorded: str

    def __str__(self) -> str:
        """Such as ``ZhengPeng7/BiRefNet_lite@0123abc``."""
        return f"{self.origin}@{self.revision}"

    @property
    def is_from_hub(self) -> bool:
        """Whether a hub can be asked for it again."""
        return self.origin != GIVEN

    def write(self, folder: Path) -> None:
        """Write the record, whole or not at all."""
        write_atomically(_path(folder, self.model), json.dumps(asdict(self), indent=1) + "\n")


#: Origin of a file that was given.
GIVEN = "file"


def read_provenance(folder: Path, model: str) -> Provenance | None:
    """The record of a model, or None where there is none that can be read."""
    try:
        content = json.loads(_path(folder, model).read_text())
        return Provenance(**{name: content[name] for name in Provenance.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _path(folder: Path, model: str) -> Path:
    return folder / f"{model}.json"
