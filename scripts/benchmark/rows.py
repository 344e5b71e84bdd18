"""What one row of a benchmark runs, as it is asked for on the command line."""

from __future__ import annotations

from dataclasses import dataclass

from models.engine import ENGINES
from models.spec import Precision
from scripts.benchmark.files import FORMS
from scripts.benchmark.worker import VARIANTS


@dataclass(frozen=True)
class Contender:
    """What one row runs.

    Attributes:
        label: As it was asked for.
        engine: Key in `ENGINES`.
        precision: A precision to insist on, or None.
        form: Form of the graph, or None for the one that is served.
        variant: Key in `VARIANTS`, or None for how it serves.
    """

    label: str
    engine: str
    precision: str | None = None
    form: str | None = None
    variant: str | None = None

    @classmethod
    def parse(cls, label: str) -> Contender:
        """Read `engine[:precision][:form][:variant]`.

        Raises:
            ValueError: If a word is none of these; names those there are.
        """
        engine, *words = label.split(":")
        variants = [name for owner, name in VARIANTS if owner == engine]
        kinds = {"precision": [p.value for p in Precision], "form": FORMS, "variant": variants}
        if engine not in ENGINES:
            raise ValueError(f"no engine is called '{engine}'; there are: {', '.join(ENGINES)}")
        chosen: dict[str, str] = {}
        for word in words:
            kind = next((kind for kind, known in kinds.items() if word in known), None)
            if kind is None:
                known = ", ".join(name for names in kinds.values() for name in names)
                raise ValueError(f"'{word}' says nothing about {engine}; known: {known}")
            chosen[kind] = word
        return cls(label, engine, **chosen)
