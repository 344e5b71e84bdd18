"""The words of the command `birefnet`, and what they ask of a removal."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from birefnet_client.models import Options

_FORMATS = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg", ".avif": "avif"}
_BLUR = 3.0  # percent of the longer side
_NOT_HERE = {  # of rembg's commands
    "b": "raw frames are not taken; send pictures",
    "d": "models are fetched by the service: make model MODEL=...",
    "s": "the service is started by: make serve",
}
_ABOUT = "Remove the background of pictures."
_AFTER = """\
Without -o a cutout lies beside its picture, as photo-cutout.png. A second run leaves alone what is
there. The API key is read from BIREFNET_API_KEY or the file that BIREFNET_API_KEY_FILE names.
rembg's commands i and p are understood, with rembg's own letters.
Exit status: 0 all done; 1 some pictures failed; 2 wrong usage; 3 no service or no model;
130 interrupted.
"""


class Usage(Exception):
    """The words make no sense together; the message says why."""


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the words; ends with 2 where they cannot be read."""
    if words and words[0] in ("i", "p"):
        return _parse_rembg(words)
    if words and words[0] in _NOT_HERE and not os.path.lexists(words[0]):
        raise Usage(f"{words[0]}: {_NOT_HERE[words[0]]}")
    given = _parser().parse_args(words)
    given.options = _options(given)
    return given


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "birefnet",
        description=_ABOUT,
        epilog=_AFTER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("pictures", nargs="+", metavar="PICTURE", help="file, folder, pattern, @LIST, or -")
    add("-o", "--output", metavar="PATH", help="file or folder for what is made; - for stdout")
    add("--mask", action="store_true", help="make the mask instead of the cutout")
    add("--bg", metavar="GROUND", help="background: a colour, a file, a background's id, or blur")
    add("--format", choices=sorted(set(_FORMATS.values())), help="file format (png)")
    add("--quality", type=int, metavar="1-100", help="of webp, jpeg and avif (90)")
    add("--crop", action="store_true", help="crop to the subject; --option crop_margin=10%%")
    add("--size", metavar="SIZE", help="full, preview, or WIDTHxHEIGHT")
    add("--model", help="model, of those that are served")
    add("--option", action="append", default=[], metavar="NAME=VALUE", help="any other of the API")
    _add_ways(parser)
    return parser


def _add_ways(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--server", metavar="URL", help="ask this service (BIREFNET_URL)")
    add("--patience", type=float, default=120.0, metavar="S", help="seconds to wait for it (120)")
    add("--workers", type=int, metavar="N", help="pictures at a time")
    add("--overwrite", action="store_true", help="make anew, and replace, what is there")
    add("--watch", action="store_true", help="go on with what appears in the folders")
    add("--json", action="store_true", help="a line of JSON for each picture on stdout")


def _options(given: argparse.Namespace) -> Options:
    """What the words ask of a removal."""
    options: dict[str, Any] = {
        "output": "mask" if given.mask else None,
        "format": given.format,
        "quality": given.quality,
        "size": given.size,
        "model": given.model,
        "crop": given.crop or None,
    }
    if given.bg is not None:
        options |= _ground(given.bg)
    for word in given.option:
        name, is_one, value = word.partition("=")
        if not is_one or name not in Options.__annotations__:
            raise Usage(f"--option {word}: not NAME=VALUE with the name of an option")
        options[name] = Path(value) if name == "bg_image" else value
    if given.output and options["format"] is None and options.get("output") != "parts":
        options["format"] = _FORMATS.get(Path(given.output).suffix.lower())
    return cast("Options", {name: value for name, value in options.items() if value is not None})


def _ground(word: str) -> dict[str, Any]:
    """A background: a file that is there, an id, `blur`, else a colour."""
    if word == "blur":
        return {"bg_blur": _BLUR}
    if os.path.isfile(word):
        return {"bg_image": Path(word)}
    if os.sep in word or Path(word).suffix.lower() in _FORMATS:
        raise Usage(f"--bg {word}: there is no such file")
    if word.startswith("bg_") or "-" in word:
        return {"background_id": word}
    return {"bg_color": word}


def _parse_rembg(words: Sequence[str]) -> argparse.Namespace:
    """Rembg's `i INPUT [OUTPUT]` and `p INPUT OUTPUT`, as it names its flags."""
    parser = argparse.ArgumentParser(f"birefnet {words[0]}", description=_ABOUT)
    add = parser.add_argument
    add("input", help="file or folder; - for stdin")
    add("output", nargs="?" if words[0] == "i" else None, help="file or folder; - for stdout")
    add("-m", "--model", help="model")
    add("-om", "--only-mask", action="store_true", help="make the mask")
    add("-bgc", "--bgcolor", type=int, nargs=4, metavar=tuple("RGBA"), help="background colour")
    add("-w", "--watch", action="store_true", help="go on with what appears in the folder")
    add("-d", "--delete_input", action="store_true", help="refused: no source is deleted")
    add("-ppm", "--post-process-mask", action="store_true", help="taken; masks are smoothed")
    add("-a", "--alpha-matting", action="store_true", help="taken; edges are always refined")
    for letters in ("-af", "-ab", "-ae"):
        add(letters, type=int, help="taken; edges are always refined")
    _add_ways_of_rembg(parser)
    given = parser.parse_args(words[1:])
    if given.delete_input:
        raise Usage("-d: sources are not deleted; remove them yourself once all is well")
    if given.bgcolor and (given.bgcolor[3] != 255 or not all(0 <= n < 256 for n in given.bgcolor)):
        raise Usage("-bgc: four numbers from 0 to 255, and the last must be 255")
    given.overwrite = words[0] == "i"  # as rembg does; `p` leaves alone what is there
    given.pictures, given.output = [given.input], given.output or _beside_of_rembg(given.input)
    options = {"model": given.model, "output": "mask" if given.only_mask else None}
    if given.bgcolor and not given.only_mask:
        options["bg_color"] = "#" + bytes(given.bgcolor[:3]).hex()
    given.options = {name: value for name, value in options.items() if value is not None}
    return given


def _add_ways_of_rembg(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--server", metavar="URL", help="ask this service (BIREFNET_URL)")
    parser.set_defaults(patience=120.0, workers=None, json=False)


def _beside_of_rembg(name: str) -> str:
    """Where `rembg i` writes if it is not told."""
    return "-" if name == "-" else str(Path(name).with_suffix(".out.png"))
