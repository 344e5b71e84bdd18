"""Turns bytes into bytes: untrusted pictures, the use case, HTTP, the two Bento services."""
