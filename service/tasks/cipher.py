"""Encrypts what lies in the storage of tasks, where the operator has given a key."""

from __future__ import annotations

import secrets

from service.blobs.errors import StorageUnavailable

_NONCE_BYTES = 12
_RETRY_S = 10


class Cipher:
    """AES-256-GCM, each file bound to its path, so that none can be put in another's place.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # an extra

        self._cipher = AESGCM(key)

    def close(self, path: str, data: bytes) -> bytes:
        """Encrypt a file."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, path.encode())

    def open(self, path: str, data: bytes) -> bytes:
        """Decrypt a file.

        Raises:
            StorageUnavailable: If it was encrypted with another key, or is another file.
        """
        from cryptography.exceptions import InvalidTag

        nonce, sealed = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, sealed, path.encode())
        except (InvalidTag, ValueError) as other:
            raise StorageUnavailable(retry_after=_RETRY_S) from other
