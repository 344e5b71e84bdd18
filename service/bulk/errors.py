"""Why the command ends before its work is done."""

from __future__ import annotations


class Usage(Exception):
    """What was asked for makes no sense together; the message says why."""


class Stopped(Exception):
    """What befell one picture will befall all others; the message says what."""
