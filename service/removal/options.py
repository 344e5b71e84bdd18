"""What a caller may choose of a removal, and what they get."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from PIL import ImageColor
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from models.engine import EngineInfo
from models.matting.canvas import Box

Colour = tuple[int, int, int]
Output = Literal["cutout", "mask", "composite", "parts"]

_COLOUR_CHARACTERS = 32
_WHITE: Colour = (255, 255, 255)
_BACKGROUNDS = ("bg_color", "bg_image", "background_id", "bg_blur")
#: Options that stand for nothing but a set of others; each of those can still be chosen otherwise.
PRESETS: Mapping[str, Mapping[str, object]] = {
    "studio": {
        "bg_color": "white",
        "crop": True,
        "crop_margin": "12%",
        "aspect": "1:1",
        "shadow": "contact",
    },
    "headshot": {
        "bg_color": "#eef1f5",
        "crop": True,
        "crop_margin": "8%",
        "aspect": "4:5",
        "position": "50,100",  # whoever is cut off by the picture's edge must not float
    },
    "sticker": {"crop": True, "crop_margin": "4%", "outline": 2.0},
    "greenscreen": {"bg_color": "#00b140"},
}


def _read_colour(value: object) -> object:
    """A colour in CSS's words (`white`, `#fff`, `#ffffff`, `rgb(255, 255, 255)`)."""
    if isinstance(value, tuple):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if re.fullmatch(r"[0-9a-fA-F]{3}|[0-9a-fA-F]{6}", text):
        text = f"#{text}"  # a '#' in an address begins its fragment, so many leave it out
    with contextlib.suppress(ValueError):
        colour = ImageColor.getrgb(text[:_COLOUR_CHARACTERS])
        if len(colour) == 3:
            return tuple(max(0, min(255, level)) for level in colour)
    raise PydanticCustomError("colour", "a colour such as white, #ffffff or rgb(255,255,255)")


_ColourOption = Annotated[
    Colour,
    BeforeValidator(_read_colour, json_schema_input_type=str),
]


class RemovalOptions(BaseModel):
    """What a caller may choose. The defaults give the specification's cutout.

    The form, the JSON body, the query of a raw body, their schemas, the native endpoint and the
    table in `docs/api.md` are made of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    preset: Literal["studio", "headshot", "sticker", "greenscreen"] | None = Field(
        default=None, description="A named set of the options below; each can still be changed"
    )
    model: str | None = Field(
        default=None, max_length=64, description="Model, of those `GET /models` lists"
    )
    output: Output | None = Field(
        default=None,
        description="What is made: a `cutout`, its `mask`, a `composite` with a background, or "
        "`parts` (colours as JPEG and alpha as PNG, in a ZIP); unset: `composite` if a background "
        "is chosen, else `cutout`",
    )
    format: Literal["png", "webp", "jpeg", "avif"] = Field(
        default="png", description="File format; JPEG for a mask or a composite only"
    )
    quality: int = Field(default=90, ge=1, le=100, description="Of WebP, JPEG and AVIF")
    smoothing: bool = Field(default=True, description="Smooth the alpha edge")
    shift_edge: float = Field(
        default=0.0, ge=-50, le=50, description="Pixels to move the edge outwards, or inwards (-)"
    )
    feather: float = Field(default=0.0, ge=0, le=100, description="Pixels to soften the edge by")
    decontaminate: bool = Field(
        default=True, description="Give soft edges the subject's colours, without the background's"
    )
    bg_color: _ColourOption | None = Field(
        default=None, description="Background colour: `white`, `#ffffff`, `ffffff`"
    )
    bg_image: bytes | None = Field(
        default=None, repr=False, description="Background picture, in any format that is read"
    )
    background_id: str | None = Field(
        default=None,
        pattern=r"^(bg_[0-9a-f]{32}|[a-z]{1,16}(-[a-z]{1,16}){0,2})$",
        description="Id of a background, of those `GET /backgrounds` lists",
    )
    bg_fit: Literal["cover", "contain"] = Field(
        default="cover", description="How the background picture fills the canvas"
    )
    bg_blur: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="Blur of the background in percent of the longer side; without a background "
        "picture or colour, the source's own is blurred",
    )
    color_match: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="How far to bring the subject's colours to the background's; try 0.35",
    )
    shadow: Literal["none", "drop", "contact"] = Field(
        default="none", description="Shadow below the subject"
    )
    shadow_opacity: float = Field(default=0.5, ge=0, le=1, description="How dark the shadow is")
    outline: float = Field(
        default=0.0, ge=0, le=10, description="Border around the subject, in percent of its size"
    )
    outline_color: _ColourOption = Field(default=_WHITE, description="Colour of the border")
    crop: bool = Field(default=False, description="Crop to the subject")
    crop_margin: str = Field(
        default="0",
        pattern=r"^\d{1,4}(\.\d{1,2})?(%|px)?$",
        description="Room around the cropped subject: `20px`, or `10%` of its longer side",
    )
    aspect: str | None = Field(
        default=None,
        pattern=r"^[1-9]\d{0,3}(\.\d{1,3})?:[1-9]\d{0,3}(\.\d{1,3})?$",
        description="Extend the canvas to width:height, such as `1:1`",
    )
    scale: float | None = Field(
        default=None, ge=10, le=100, description="Size of the subject, in percent of the canvas"
    )
    position: str | None = Field(
        default=None,
        pattern=r"^(original|center|\d{1,3}(\.\d{1,2})?%?,\d{1,3}(\.\d{1,2})?%?)$",
        description="Place of the subject: `original`, `center`, or `x,y` in percent of the room "
        "around it",
    )
    size: str = Field(
        default="full",
        pattern=r"^(full|preview|[1-9]\d{0,3}x[1-9]\d{0,3})$",
        description="`full`, `preview` (at most 0.25 megapixels), or a canvas such as `1200x800` "
        "that the picture is fitted into",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, given: Any) -> Any:
        """The preset's options, where they are not chosen otherwise."""
        preset = PRESETS.get(str(given.get("preset"))) if isinstance(given, dict) else None
        if preset is None:
            return given
        own_background = given.keys() & {"bg_image", "background_id", "bg_blur"}
        return {k: v for k, v in preset.items() if not (k == "bg_color" and own_background)} | given

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        """Refuse options that exclude each other: one of them would silently do nothing."""
        for name, message in self._conflicts():
            raise PydanticCustomError("conflict", "{message}", {"field": name, "message": message})
        return self

    def _conflicts(self) -> Any:
        yield from self._conflicts_of_backgrounds()
        made, chosen = self.made, self.model_fields_set
        if made == "composite" and not self.has_background:
            yield "output", "A composite needs bg_color, bg_image, background_id or bg_blur"
        if made in ("mask", "parts"):
            for name in (*_BACKGROUNDS, "color_match", "shadow", "outline"):
                if getattr(self, name) not in (None, 0.0, "none"):
                    yield name, f"It does nothing with output={made}"
        if self.output == "cutout" and self.has_background:
            yield "output", "A cutout has no background; choose composite, or none"
        if self.color_match and made == "cutout":
            yield "color_match", "It needs bg_color, bg_image, background_id or bg_blur"
        if self.format == "jpeg" and made == "cutout":
            yield "format", "JPEG has no transparency; choose a background, a mask, or png"
        if made == "parts" and "format" in chosen and self.format != "png":
            yield "format", "The parts are a JPEG and a PNG"

    def _conflicts_of_backgrounds(self) -> Any:
        if self.background_id is not None:
            for name in ("bg_image", "bg_color"):
                if getattr(self, name) is not None:
                    yield name, "There is a background_id already; choose one of the two"
        elif self.bg_blur and self.bg_color is not None and self.bg_image is None:
            yield "bg_blur", "A colour has nothing to blur; leave bg_color out"

    @property
    def has_background(self) -> bool:
        """Whether a background is chosen."""
        return any(getattr(self, name) not in (None, 0.0) for name in _BACKGROUNDS)

    @property
    def made(self) -> Output:
        """What is made."""
        return self.output or ("composite" if self.has_background else "cutout")

    @property
    def edge_reach(self) -> float:
        """How far out the subject's edge can come by these options, in pixels."""
        return max(0.0, self.shift_edge) + 3 * self.feather

    @property
    def applied(self) -> tuple[str, ...]:
        """Names of the options that are on, in the order they are listed in."""
        off = (None, False, 0.0, "none", "full", "original")
        own = {"preset", "model", "output", "format", "quality", "bg_fit", "shadow_opacity"}
        own |= {"outline_color", "crop_margin"}
        names = RemovalOptions.model_fields.keys() - own
        return tuple(
            name
            for name in RemovalOptions.model_fields
            if name in names and getattr(self, name) not in off
        )

    @property
    def is_laid_out(self) -> bool:
        """Whether the canvas is another than the source."""
        return bool(
            self.crop or self.aspect or self.scale or self.size != "full"
        ) or self.position not in (None, "original")


@dataclass(frozen=True)
class RemovalResult:
    """A finished removal.

    Attributes:
        file: What was made, as a file.
        media_type: Of the file.
        suffix: Of a name for the file, without a dot.
        height: Rows of the source, in pixels.
        width: Columns of the source, in pixels.
        canvas: Rows and columns of what was made.
        subject: Where the subject is in what was made; None if none was found.
        applied: Names of the steps that the caller's options asked for.
        model: Name of the model that made the matte.
        engine: What ran it.
        retried_on_cpu: Whether the GPU failed and the CPU made it.
        stages_ms: What each stage took, in milliseconds.
    """

    file: bytes
    media_type: str
    suffix: str
    height: int
    width: int
    canvas: tuple[int, int]
    subject: Box | None
    applied: tuple[str, ...]
    model: str
    engine: EngineInfo
    retried_on_cpu: bool
    stages_ms: Mapping[str, float]
