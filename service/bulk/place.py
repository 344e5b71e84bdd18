"""Where pictures are and where cutouts go: a folder or a bucket, by the same calls."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from service.blobs.blobs import folder_of, open_store, storage_fault
from service.bulk.pictures import Found, is_picture
from service.errors import ServiceError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")

# A job of a night outlives what a request need not: a bucket that is away for two minutes.
_TRIES = 12
_PATIENCE_S = 180.0


class Place:
    """A folder or a bucket.

    Args:
        address: A folder, or `file://`, `s3://`, `gs://` or `az://` with a bucket and a prefix.
        make: Whether a folder that is missing is made.

    Attributes:
        address: The same, without a slash at its end; of a folder its absolute path.
        store: What `obstore` calls it.

    Raises:
        BadStorage: If there is no such folder, or no storage can be opened by the address.
        OSError: If the folder cannot be made.
    """

    def __init__(self, address: str, *, make: bool = False) -> None:
        self.folder = folder_of(address)
        self.address = address.rstrip("/") if self.folder is None else str(self.folder)
        if make and self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        self.store: ObjectStore = open_store(address, tries=_TRIES, patience_s=_PATIENCE_S)

    def pictures(self, leave_out: Place) -> Iterator[Found]:
        """All pictures, in no order that is promised; none of another place within this one.

        Raises:
            StorageUnavailable: If they cannot be listed.
        """
        found = self._in_bucket() if self.folder is None else _in_folder(self.folder)
        inside = leave_out.address.removeprefix(f"{self.address}/")
        if inside == leave_out.address:
            return found
        return (one for one in found if not one.path.startswith(f"{inside}/"))

    def read(self, path: str, most: int) -> bytes:
        """A file; of one that is longer than `most` bytes, a little more than those.

        Raises:
            FileNotFoundError: If there is none.
            PermissionError: If it may not be read.
            StorageUnavailable: If the storage does not answer.
        """
        import obstore

        def read() -> bytes:
            asked = obstore.get(self.store, path)
            if asked.meta["size"] <= most:
                return bytes(asked.bytes())
            return bytes(obstore.get_range(self.store, path, start=0, end=most + 1))

        return _done(read)

    def written(self, path: str) -> float | None:
        """When a file was written, in seconds since 1970; None where there is none.

        Raises:
            StorageUnavailable: If the storage does not answer.
        """
        import obstore

        try:
            return _done(lambda: obstore.head(self.store, path)["last_modified"].timestamp())
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """Paths of all files below a folder of this place, in alphabetical order.

        Raises:
            StorageUnavailable: If the storage does not answer.
        """
        import obstore

        found = _done(lambda: obstore.list(self.store, folder).collect())
        return sorted(str(one["path"]) for one in found)

    def write_new(self, path: str, data: bytes) -> None:
        """Write a file, whole or not at all; one that is there stays as it is.

        Raises:
            PermissionError: If it may not be written.
            StorageUnavailable: If the storage does not answer.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            _done(lambda: obstore.put(self.store, path, data, mode="create", use_multipart=False))
        except AlreadyExistsError:
            return  # by a first try, whose answer was lost

    def replace(self, path: str, data: bytes) -> None:
        """Write a file of ours in the place of what was there, whole or not at all.

        Raises:
            PermissionError: If it may not be written.
            StorageUnavailable: If the storage does not answer.
        """
        import obstore

        _done(lambda: obstore.put(self.store, path, data, use_multipart=False))

    def delete(self, paths: list[str]) -> None:
        """Delete files.

        Raises:
            StorageUnavailable: If the storage does not answer.
        """
        import obstore

        if paths:
            _done(lambda: obstore.delete(self.store, paths))

    def _in_bucket(self) -> Iterator[Found]:
        import obstore

        pages = iter(obstore.list(self.store))
        while page := _done(lambda: next(pages, None)):
            for one in page:
                if is_picture(path := str(one["path"])):
                    yield Found(path, one["last_modified"].timestamp())


def _in_folder(folder: Path) -> Iterator[Found]:
    """The pictures below a folder; nothing hidden, no linked folder.

    A name that is not UTF-8 is told with its bytes escaped, and will not be found.
    """
    for here, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            file = Path(here, name)
            path = os.fsencode(file.relative_to(folder)).decode("utf-8", "backslashreplace")
            if is_picture(path) and (file.is_file() or file.is_symlink()):
                yield Found(path, file.lstat().st_mtime)


def _refuse(fault: OSError) -> None:
    raise storage_fault(fault) from fault


def _done(work: Callable[[], T]) -> T:
    """The result of a call, or an error that says whose fault it is."""
    from obstore.exceptions import AlreadyExistsError, PermissionDeniedError

    try:
        return work()
    except (FileNotFoundError, AlreadyExistsError, PermissionError, ServiceError):
        raise
    except PermissionDeniedError as refused:
        raise PermissionError(str(refused).splitlines()[0]) from refused
    except Exception as refused:  # obstore's own, and Python's for some
        raise storage_fault(refused) from refused
