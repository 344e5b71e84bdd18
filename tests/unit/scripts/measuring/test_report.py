"""Tables and files that every report is made of."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.measuring.report import begin_run, write_report
from scripts.measuring.table import table


def test_a_table_has_words_to_the_left_and_numbers_to_the_right() -> None:
    assert table([["what", "how", "ms"], ["a", "b", "1"], ["c"]], words=2) == [
        "| what | how | ms |",
        "| --- | --- | --: |",
        "| a | b | 1 |",
        "| c |  |  |",
    ]


def test_a_padded_table_can_be_read_as_it_stands() -> None:
    assert table([["what", "ms"], ["a", "100"]], padded=True) == [
        "| what |  ms |",
        "| ---- | --: |",
        "| a    | 100 |",
    ]


def test_a_report_is_written_whole_beside_nothing_else(tmp_path: Path) -> None:
    write_report(tmp_path / "new" / "v1.2", "a page", {"figure": 1})
    assert (tmp_path / "new" / "v1.2.md").read_text() == "a page"
    assert json.loads((tmp_path / "new" / "v1.2.json").read_text()) == {"figure": 1}
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_a_run_names_the_command_that_repeats_it() -> None:
    run = begin_run("scripts.benchmark", ["--model", "two words"])
    assert run.command == "python -m scripts.benchmark --model 'two words'"
    assert run.machine.cores >= 1
