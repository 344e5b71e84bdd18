"""What can be wrong with a storage."""

from __future__ import annotations

from service.errors import ServiceError


class StorageUnavailable(ServiceError):
    """What keeps blobs does not answer, or refuses."""

    code = "STORAGE_UNAVAILABLE"
    public_message = "The storage does not answer; try again later"


class StorageFull(ServiceError):
    """What keeps blobs has no room."""

    code = "STORAGE_FULL"
    public_message = "The storage is full"
