"""Splits a multipart body into its parts; in memory, as the bytes arrive.

python-multipart splits the body. What it leaves to its caller is done here: text in front of the
first boundary, the extended form of a file name, limits, and faults in words a caller can act on.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

MAX_PARTS = 32
MAX_PART_HEADERS = 16
MAX_PART_HEADER_BYTES = 8 * 1024
MAX_PREAMBLE_BYTES = 4 * 1024
MAX_BOUNDARY_BYTES = 256  # RFC 2046 allows 70
_NO_LIMIT = 1 << 31  # ours are kept by `_Parts`, which can say which one it was
# RFC 5987, and the first piece of RFC 2231's longer names. python-multipart drops both.
_EXTENDED_NAME = re.compile(rb';\s*filename\*(?:0\*?)?\s*=\s*"?([^;"]*)', re.IGNORECASE)


class MultipartFault(Exception):
    """The body is no well-formed form; the message says why, for the caller."""


@dataclass(frozen=True)
class Part:
    """One part of a form. Everything in it is untrusted.

    Attributes:
        name: Name of its field.
        filename: Name of the file it is, or None if it was sent as a plain value.
        media_type: Media type it was declared to have.
        data: Its bytes.
    """

    name: str
    filename: str | None
    media_type: str | None
    data: bytes

    @property
    def text(self) -> str:
        """Its bytes as text."""
        return _text(self.data)


def boundary_of(content_type: str) -> bytes:
    """The boundary a request's `Content-Type` announces.

    Raises:
        MultipartFault: If the body is no form, or its boundary is missing or too long.
    """
    media_type, parameters = parse_options_header(content_type)
    if media_type != b"multipart/form-data":
        raise MultipartFault(
            "Expected multipart/form-data with the picture in the field image, application/json, "
            "or the picture alone as image/*"
        )
    boundary = parameters.get(b"boundary", b"")
    if not boundary:
        raise MultipartFault(
            "The Content-Type names no boundary; leave that header to your HTTP library"
        )
    if len(boundary) > MAX_BOUNDARY_BYTES:
        raise MultipartFault(f"The boundary is longer than {MAX_BOUNDARY_BYTES} bytes")
    return boundary


async def read_parts(
    boundary: bytes, chunks: AsyncIterator[bytes], most: int = MAX_PARTS
) -> list[Part]:
    """Read a whole form.

    Args:
        boundary: What separates its parts, from `boundary_of`.
        chunks: The body, in pieces of any size; whoever gives them bounds their sum.
        most: How many parts it may have.

    Returns:
        Its parts, in the order they came.

    Raises:
        MultipartFault: If it is malformed, cut off, or has too many parts or headers.
    """
    preamble, parts = _Preamble(boundary), _Parts(boundary, most)
    try:
        async for chunk in chunks:
            parts.feed(preamble.skip(chunk))
    finally:
        parts.close()
    preamble.check_over()
    if not parts.complete:
        raise MultipartFault("The form is cut off: its closing boundary is missing")
    return parts.read


class _Preamble:
    """Drops what stands in front of the first boundary, which RFC 2046 says to ignore."""

    def __init__(self, boundary: bytes) -> None:
        self._boundary = b"--" + boundary
        line = rb"(?:\A|\n)" + re.escape(self._boundary) + rb"(--|[ \t]*\r\n)"
        self._first_line = re.compile(line)
        self._seen = bytearray()
        self._over = False

    def skip(self, chunk: bytes) -> bytes:
        """What the parser shall be given of the next piece of the body."""
        if self._over:
            return chunk
        self._seen += chunk
        found = self._first_line.search(self._seen, 0, MAX_PREAMBLE_BYTES)
        if found is None:
            if len(self._seen) > MAX_PREAMBLE_BYTES:
                self.check_over()
            return b""
        self._check_lines(found.start())
        self._over = True
        end = b"--" if found[1] == b"--" else b"\r\n"
        return self._boundary + end + bytes(self._seen[found.end() :])

    def check_over(self) -> None:
        """Refuse a body in which no part ever began."""
        if self._over:
            return
        if not self._seen:
            raise MultipartFault("The body is empty")
        self._check_lines(len(self._seen))
        raise MultipartFault(
            "The body does not begin with the boundary that its Content-Type names"
        )

    def _check_lines(self, end: int) -> None:
        """Refuse a body whose boundaries are there and end like lines of Unix."""
        if self._seen.find(self._boundary + b"\n", 0, end) >= 0:
            raise MultipartFault("The form's lines end in LF alone; they must end in CRLF")


class _Parts:
    """Collects the parts the parser finds.

    Attributes:
        read: The parts that are complete.
        complete: Whether the closing boundary has come.
    """

    def __init__(self, boundary: bytes, most: int) -> None:
        self._most = most
        self.read: list[Part] = []
        self.complete = False
        self._headers: dict[bytes, bytes] = {}
        self._header_name, self._header_value = bytearray(), bytearray()
        self._n_headers = 0
        self._name = ""
        self._filename: str | None = None
        self._data = bytearray()  # not a list: pieces may be of one byte each
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_begin": self._begin_header,
                "on_header_field": self._add_to_header_name,
                "on_header_value": self._add_to_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_data,
                "on_part_end": self._end,
                "on_end": self._complete,
            },
            max_header_count=_NO_LIMIT,
            max_header_size=_NO_LIMIT,
        )

    def feed(self, chunk: bytes) -> None:
        """Parse the next piece."""
        try:
            self._parser.write(chunk)
        except FormParserError as malformed:
            raise MultipartFault(
                "The header of a part is malformed; it is lines of `Name: value` that end in CRLF"
            ) from malformed

    def close(self) -> None:
        """Nothing comes any more.

        Parser and parts hold each other: all that was read, whatever became of the request, would
        stay in memory until the collector runs.
        """
        del self._parser
        self._data = bytearray()

    def _begin(self) -> None:
        # The part that only a missing closing boundary would begin is not counted.
        if len(self.read) == self._most:
            raise MultipartFault(f"The form has more than {self._most} parts")
        self._headers, self._n_headers, self._data = {}, 0, bytearray()

    def _begin_header(self) -> None:
        self._n_headers += 1
        if self._n_headers > MAX_PART_HEADERS:
            raise MultipartFault(f"A part of the form has more than {MAX_PART_HEADERS} headers")
        self._header_name, self._header_value = bytearray(), bytearray()

    def _add_to_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]
        self._check_header()

    def _add_to_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]
        self._check_header()

    def _check_header(self) -> None:
        if len(self._header_name) + len(self._header_value) > MAX_PART_HEADER_BYTES:
            raise MultipartFault(
                f"A header of a part is longer than {MAX_PART_HEADER_BYTES // 1024} KB"
            )

    def _end_header(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)

    def _end_headers(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        _, parameters = parse_options_header(disposition)
        if b"name" not in parameters:
            raise MultipartFault(
                'A part of the form has no name: Content-Disposition: form-data; name="..."'
            )
        encoding = self._headers.get(b"content-transfer-encoding", b"binary").strip().lower()
        if encoding in (b"base64", b"quoted-printable"):
            raise MultipartFault("Send the bytes of a part as they are, not as base64 or text")
        self._name = _text(parameters[b"name"])
        self._filename = _filename(disposition, parameters.get(b"filename"))

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def _end(self) -> None:
        media_type = self._headers.get(b"content-type")
        self.read.append(
            Part(
                self._name,
                self._filename,
                media_type.decode("latin-1") if media_type is not None else None,
                bytes(self._data),
            )
        )
        self._data = bytearray()

    def _complete(self) -> None:
        self.complete = True


def _filename(disposition: bytes, plain: bytes | None) -> str | None:
    """The name of a part's file: the extended one if it has one, which spells more names."""
    extended = _EXTENDED_NAME.search(disposition)
    if extended is None:
        return None if plain is None else _text(plain)
    return _text(unquote_to_bytes(extended[1].rsplit(b"'", 1)[-1].strip()))


def _text(data: bytes) -> str:
    """Bytes as text, whatever charset they claim: UTF-8, or what cannot fail.

    A caller's own charset never reaches a codec: there are codecs that raise for every name.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
