"""Bytes in, bytes out: untrusted pictures, the use case, HTTP and the two Bento services."""
