"""Which of the many kinds of TIFF are read, and what the others are called."""

from __future__ import annotations

from dataclasses import dataclass

from service.errors import UnsupportedFormat
from service.imaging import tiff_tags as tags
from service.imaging.tiff_pieces import DEFLATE, JPEG, LZW, OLD_DEFLATE, PACK_BITS, PLAIN
from service.imaging.tiff_tags import Directory

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6

_READ = (PLAIN, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACK_BITS)
_WITH_PREDICTOR = (LZW, DEFLATE, OLD_DEFLATE)
_COMPRESSIONS = {
    **dict.fromkeys((2, 3, 4, 32771), "a fax (CCITT) inside a TIFF"),
    6: "a TIFF compressed as JPEG in the old style",
    **dict.fromkeys((9, 10, 34661), "a TIFF compressed as JBIG"),
    32766: "a TIFF compressed for NeXT",
    32809: "a TIFF compressed as ThunderScan",
    **dict.fromkeys((32908, 32909), "a TIFF compressed as PixarFilm or PixarLog"),
    **dict.fromkeys((34676, 34677), "a TIFF compressed as SGILog"),
    **dict.fromkeys((33003, 33004, 33005, 34712), "a TIFF compressed as JPEG 2000"),
    34887: "a TIFF compressed as LERC",
    34925: "a TIFF compressed as LZMA",
    50000: "a TIFF compressed as ZSTD",
    50001: "a TIFF compressed as WebP",
    **dict.fromkeys((50002, 52546), "a TIFF compressed as JPEG XL"),
}
_COLOURS = {8: "CIELab", 9: "ICCLab", 10: "ITULab", 32844: "LogL", 32845: "LogLuv"}
_CAMERAS = "a camera's raw file"
_CAMERA_COMPRESSIONS = (32767, 32769, 34713, 34892, 65000, 65535)
_CAMERA_COLOURS = (32803, 34892)
_N_COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}
_FEW_BITS = (1, 2, 4, 8)
_MORE_SAMPLES = 4
# Of opacity: multiplied into the colours, or not; 999 is how Corel Draw says the latter.
_ASSOCIATED, _OPACITIES = 1, (1, 2, 999)
_WHOLE_NUMBERS = (1, 4)  # 4: undefined
_INKS_ARE_CMYK = 1
_HORIZONTAL, _FLOATING = 2, 3


@dataclass(frozen=True)
class TiffKind:
    """What the samples of a TIFF mean.

    Attributes:
        photometric: Their colour space, by its number.
        bits: Bits of each.
        samples: How many a pixel has.
        colours: How many of them are colours.
        alpha: Which is the opacity, or None.
        associated: Whether the opacity was multiplied into the colours.
        planar: Whether each has a plane of its own.
        predicted: Whether each is the difference from its neighbour on the left.
        compression: How they are packed.
    """

    photometric: int
    bits: int
    samples: int
    colours: int
    alpha: int | None
    associated: bool
    planar: bool
    predicted: bool
    compression: int

    @property
    def used(self) -> tuple[int, ...]:
        """Which samples make the picture: the colours, then the opacity."""
        return (*range(self.colours), *(() if self.alpha is None else (self.alpha,)))


def kind_of(page: Directory) -> TiffKind:
    """What the samples of a page mean.

    Raises:
        ValueError: If the page contradicts itself.
        UnsupportedFormat: If it is of a kind that is not read.
    """
    photometric = page.number(tags.PHOTOMETRIC, WHITE_IS_ZERO)
    compression = page.number(tags.COMPRESSION, PLAIN)
    _refuse_cameras(page, compression, photometric)
    if compression not in _READ:
        refuse(_COMPRESSIONS.get(compression, f"a TIFF of compression {compression}"))
    if photometric not in _N_COLOURS:
        refuse(f"a TIFF in {_COLOURS.get(photometric, f'the colour space {photometric}')}")
    bits = page.numbers(tags.BITS, 8) or (1,)
    samples, colours = page.number(tags.SAMPLES, 1), _N_COLOURS[photometric]
    if samples < colours or len(set(bits)) > 1:
        raise ValueError("samples missing, or of several sizes")
    planar = page.number(tags.PLANAR, 1) == 2 and samples > 1
    _refuse_rare(page, photometric, compression, samples - colours, planar=planar)
    _refuse_depth(page, bits[0], deep=photometric != PALETTE, few=samples == 1)
    alpha = _opacity(page, photometric, samples, colours)
    predictor = page.number(tags.PREDICTOR, 1) if compression in _WITH_PREDICTOR else 1
    if predictor == _FLOATING or (predictor == _HORIZONTAL and bits[0] < 8):
        raise ValueError("a predictor for other samples")
    return TiffKind(
        photometric=photometric,
        bits=bits[0],
        samples=samples,
        colours=colours,
        alpha=None if alpha is None else alpha[0],
        associated=alpha is not None and alpha[1] == _ASSOCIATED and photometric != PALETTE,
        planar=planar,
        predicted=predictor == _HORIZONTAL,
        compression=compression,
    )


def refuse(what: str) -> None:
    """Refuse a kind by its name."""
    raise UnsupportedFormat(
        f"Unsupported file format: this is {what}, which is not read here. "
        "Please save it as PNG or JPEG."
    )


def _refuse_cameras(page: Directory, compression: int, photometric: int) -> None:
    """Raw files of cameras begin as TIFFs, often with a small picture to look at."""
    is_copy = page.number(tags.NEW_SUBFILE_TYPE, 0) & 1 and tags.SUB_DIRECTORIES in page
    if (
        is_copy
        or tags.DNG_VERSION in page
        or compression in _CAMERA_COMPRESSIONS
        or photometric in _CAMERA_COLOURS
    ):
        refuse(_CAMERAS)


def _refuse_rare(
    page: Directory, photometric: int, compression: int, more: int, *, planar: bool
) -> None:
    if photometric == YCBCR and (compression != JPEG or planar):
        refuse("a TIFF in YCbCr that is not compressed as JPEG")
    if photometric == CMYK and page.number(tags.INK_SET, _INKS_ARE_CMYK) != _INKS_ARE_CMYK:
        refuse("a TIFF of other inks than cyan, magenta, yellow and black")
    if more > _MORE_SAMPLES:
        refuse(f"a TIFF of {more} samples more than colours")
    if page.number(tags.FILL_ORDER, 1) != 1:
        refuse("a TIFF whose bits are reversed, as those of a fax")


def _refuse_depth(page: Directory, bits: int, *, deep: bool, few: bool) -> None:
    formats = page.numbers(tags.SAMPLE_FORMAT, 8)
    if any(number not in _WHOLE_NUMBERS for number in formats):
        refuse("a TIFF of numbers with a sign or a fraction")
    if bits not in (*(_FEW_BITS if few else (8,)), *((16,) if deep else ())):
        refuse(f"a TIFF of {bits} bits a sample")


def _opacity(
    page: Directory, photometric: int, samples: int, colours: int
) -> tuple[int, int] | None:
    """Which sample is the opacity, and of what kind it is."""
    if tags.EXTRA_SAMPLES not in page:  # programs forget it
        return (3, 0) if photometric == RGB and samples == 4 else None
    extra = page.numbers(tags.EXTRA_SAMPLES, samples - colours)
    found = [(colours + i, kind) for i, kind in enumerate(extra) if kind in _OPACITIES]
    return found[0] if found else None
