"""Say which version this is, or set another one everywhere it is written.

`pyproject.toml` decides. Whatever else names the version (the client, the web packages, images in
Compose and Kubernetes, pages that show a file's name) is found by the form in which it does.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

from scripts.command import Unusable, run_command

_NUMBER = r"\d+\.\d+\.\d+"
#: Files that declare a version, and how; each does so exactly as often as said.
DECLARED = {
    "pyproject.toml": (rf'^version = "({_NUMBER})"', 1),
    "client/pyproject.toml": (rf'^version = "({_NUMBER})"', 1),
    "client/birefnet_client/version.py": (rf'^__version__ = "({_NUMBER})"', 1),
    "web/package.json": (rf'^  "version": "({_NUMBER})"', 1),
    "web/package/package.json": (rf'^  "version": "({_NUMBER})"', 1),
    "web/page/package.json": (rf'^  "version": "({_NUMBER})"', 1),
    "web/package-lock.json": (
        r'^(?:  |      "name": "birefnet-background-removal(?:-web)?",\n      |'
        r'    "page": {\n      )'
        rf'"version": "({_NUMBER})"',
        4,
    ),
}
#: Forms that name an image or a package of ours, wherever they stand.
NAMED = (
    rf"(?<![\w.])({_NUMBER})-(?:cpu|gpu|tensorrt)\b",
    rf"IMAGE_VERSION:-({_NUMBER})\}}",
    rf"birefnet-background-removal-({_NUMBER})\.tgz",
)
# What was, and what tests make up.
_NOT_NOW = ("CHANGELOG.md", "docs/benchmarks/", "docs/decisions/", "tests/")
_TEXT = {".json", ".md", ".toml", ".yaml"}


def main(arguments: list[str] | None = None) -> int:
    """Print the version, or set one."""
    parser = argparse.ArgumentParser(prog="version", description=__doc__)
    parser.add_argument("new", nargs="?", help="such as 0.2.0; without it the version is printed")
    options = parser.parse_args(arguments)
    if options.new is None:
        print(version_of(Path()))
        return 0
    if not re.fullmatch(_NUMBER, options.new):
        raise Unusable(f"{options.new} is no version; it is three numbers, such as 0.2.0")
    for file in set_version(Path(), options.new):
        print(file)
    return 0


def version_of(root: Path) -> str:
    """The version of a checkout.

    Raises:
        OSError: If there is no `pyproject.toml`.
    """
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def versions_in(root: Path) -> Iterator[tuple[str, str]]:
    """Every file of a checkout that says our version, with what it says.

    Raises:
        Unusable: If one that must declare it does not.
    """
    for file, form in _forms(root):
        for found in re.finditer(form, (root / file).read_text(), re.MULTILINE):
            yield file, found[1]


def set_version(root: Path, new: str) -> list[str]:
    """Write another version everywhere.

    Args:
        root: A checkout.
        new: Three numbers.

    Returns:
        The files that changed.

    Raises:
        Unusable: If a file that must declare a version does not.
    """
    changed = set()
    for file, form in _forms(root):
        text = (root / file).read_text()
        written = re.sub(form, lambda at: at[0].replace(at[1], new), text, flags=re.MULTILINE)
        if written != text:
            (root / file).write_text(written)
            changed.add(file)
    return sorted(changed)


def _forms(root: Path) -> Iterator[tuple[str, str]]:
    for file, (form, times) in DECLARED.items():
        if len(re.findall(form, (root / file).read_text(), re.MULTILINE)) != times:
            raise Unusable(f"{file} does not declare the version {times} times")
        yield file, form
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=root, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.splitlines()
    for file in tracked:
        if Path(file).suffix in _TEXT and not file.startswith(_NOT_NOW) and (root / file).is_file():
            yield from ((file, form) for form in NAMED)


if __name__ == "__main__":
    run_command(main)
