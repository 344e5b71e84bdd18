"""Writes the bill of materials (SBOM): every package of the locks, as CycloneDX.

One for the whole release. Python's packages are those of `requirements.lock`, with hashes; npm's
are those the page contains, with licences too. The client needs of them httpx and what that
needs, the React package none.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from scripts.measuring.environments import run
from scripts.measuring.processes import within
from scripts.release.artefacts import NPM_NAME, WITH_NODE
from scripts.release.sources import Sources

_SPEC = "1.6"
_WORKER = Path(__file__).with_name("bill_worker.py")


def write_bill(sources: Sources, python: Path, target: Path) -> None:
    """Write the bill, the same bytes for the same commit, and hold it against the schema.

    Args:
        sources: Have the locks.
        python: Of the tools.
        target: Folder for the file.

    Raises:
        Unusable: If it is no valid CycloneDX.
    """
    pypi, npm = _of_pypi(sources, python), _of_npm(sources)
    ours = f"pkg:pypi/{NPM_NAME}@{sources.version}"
    page = next(one["bom-ref"] for one in npm["components"] if one["name"] == "page")
    listed = [*map(_tidy, pypi["components"]), *npm["components"]]
    known = {one["bom-ref"] for one in npm["components"]}
    direct = [page, *(_tidy(one)["bom-ref"] for one in pypi["components"])]
    bill = {
        **{key: pypi[key] for key in ("$schema", "bomFormat", "specVersion", "version")},
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": ours,
                "name": NPM_NAME,
                "version": sources.version,
                "purl": ours,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
            "properties": [{"name": "git:commit", "value": sources.commit}],
            "tools": {"components": _tools(pypi, npm)},
        },
        "components": sorted(listed, key=lambda one: str(one["bom-ref"])),
        "dependencies": [
            {"ref": ours, "dependsOn": direct},
            *(one for one in npm["dependencies"] if one["ref"] in known),
        ],
    }
    file = target / f"{NPM_NAME}-{sources.version}.cdx.json"
    file.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n")
    run(python, [_WORKER, file])


def _of_pypi(sources: Sources, python: Path) -> dict[str, Any]:
    options = ["--output-reproducible", "--spec-version", _SPEC, "--output-format", "JSON"]
    module = ["-W", "ignore", "-m", "cyclonedx_py", "requirements", *options]
    told: dict[str, Any] = json.loads(run(python, [*module, sources.folder / "requirements.lock"]))
    return told


def _of_npm(sources: Sources) -> dict[str, Any]:
    command = ["npm", "sbom", "--sbom-format", "cyclonedx", "--package-lock-only"]
    command += ["--omit", "dev", "--workspace", "page", "--loglevel=error"]
    ran = subprocess.run(
        within(WITH_NODE, command), cwd=sources.folder / "web", check=True, stdout=subprocess.PIPE
    )
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


def _tidy(component: dict[str, Any]) -> dict[str, Any]:
    """A package of the lock, known by its address (purl) in place of its line there."""
    return {**component, "bom-ref": component["purl"], "description": "of requirements.lock"}


def _tools(pypi: dict[str, Any], npm: dict[str, Any]) -> list[dict[str, Any]]:
    theirs = [*pypi["metadata"]["tools"]["components"], *npm["metadata"]["tools"]]
    return [
        {"type": "application", "name": one["name"], "version": one["version"]} for one in theirs
    ]
