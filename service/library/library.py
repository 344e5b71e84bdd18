"""The library: scenes that are everybody's, and the backgrounds that a key's holder has uploaded.

An upload lies at `backgrounds/KEY/ID`. Ids are random and looked at before they become part of a
path; somebody else's is answered like one that there is not.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from models.matting.scenes import SCENES
from service.blobs.blobs import Blob, Blobs
from service.errors import AccessDenied, BackgroundNotFound, BackgroundQuotaExceeded
from service.library.package import HEAD_BYTES, THUMBNAIL_BYTES, Head, pack, read_head
from service.removal.background import STORED_LIMITS, Background, never
from service.removal.options import RemovalOptions
from service.removal.remover import BackgroundRemover

_ID = re.compile(r"bg_[0-9a-f]{32}")
_OWNER = re.compile(r"[0-9a-f]{12}")
_MOST_HEADS = 10_000
_MOST_BYTES = STORED_LIMITS.max_bytes


@dataclass(frozen=True)
class Quota:
    """How much one key may keep.

    Attributes:
        most: How many backgrounds.
        most_bytes: How many bytes of them.
    """

    most: int = 50
    most_bytes: int = 100 * 1024**2


@dataclass(frozen=True)
class Upload:
    """A background that somebody has uploaded.

    Attributes:
        id: What it is chosen by.
        head: What is known of it.
    """

    id: str
    head: Head


class BackgroundLibrary:
    """Keeps backgrounds, and finds them.

    Args:
        remover: Guards, decodes and encodes pictures within its bounds.
        blobs: Where uploads lie; None where nobody may upload.
        quota: How much one key may keep.
    """

    def __init__(self, remover: BackgroundRemover, blobs: Blobs | None, quota: Quota) -> None:
        self._remover, self._blobs, self.quota = remover, blobs, quota
        self._heads: dict[str, Head] = {}  # a blob never changes
        self._adding: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def uploads_of(self, owner: str) -> Sequence[Upload]:
        """Everything somebody has uploaded, the oldest first.

        Args:
            owner: Id of its key; empty of whoever shows none.

        Raises:
            StorageUnavailable: If the storage does not answer.
        """
        if self._blobs is None or not _OWNER.fullmatch(owner):
            return []
        blobs = await self._blobs.all_in(_folder(owner))
        heads = await asyncio.gather(*(self._head(self._blobs, blob) for blob in blobs))
        found = [
            Upload(blob.path.rpartition("/")[2], head)
            for blob, head in zip(blobs, heads, strict=True)
            if head is not None
        ]
        return sorted(found, key=lambda one: (one.head.created, one.id))

    async def find(self, owner: str, background_id: str) -> Upload:
        """One that somebody has uploaded.

        Raises:
            BackgroundNotFound: If there is none, or it is another's.
            StorageUnavailable: If the storage does not answer.
        """
        _, head = await self._read(owner, background_id, HEAD_BYTES)
        return Upload(background_id, head)

    async def thumbnail(self, owner: str, background_id: str) -> bytes:
        """A small JPEG of one; raises as `find` does."""
        data, head = await self._read(owner, background_id, THUMBNAIL_BYTES)
        return data[head.thumbnail]

    async def picture(self, owner: str, background_id: str) -> bytes:
        """The file of one, a JPEG; raises as `find` does."""
        data, head = await self._read(owner, background_id, _MOST_BYTES)
        return data[head.thumbnail.stop : head.n_bytes]

    async def add(self, owner: str, name: str, data: bytes, media_type: str | None) -> Upload:
        """Keep a picture as a background.

        Args:
            owner: Id of the key it will belong to.
            name: What its owner calls it.
            data: The file.
            media_type: What it was declared to be.

        Raises:
            AccessDenied: If the caller has no key.
            BackgroundQuotaExceeded: If the key has as much as it may.
            ImageError: If it is not a picture we take.
            ServiceError: If it cannot be kept now.
        """
        blobs = self._blobs
        if blobs is None or not _OWNER.fullmatch(owner):
            raise AccessDenied
        self._check_room(await self.uploads_of(owner), more=1)
        background = Background(data, "image", self._remover.config.limits, media_type)
        picture = await self._remover.make_stored(background)
        blob = pack(name, picture, datetime.now(UTC))
        background_id = f"bg_{secrets.token_hex(16)}"
        async with self._adding[owner]:
            self._check_room(await self.uploads_of(owner), 1, len(blob))
            await blobs.put(_path(owner, background_id), blob)
            try:  # another replica may have had the last place in the same moment
                self._check_room(await self.uploads_of(owner))
            except BackgroundQuotaExceeded:
                await blobs.delete(_path(owner, background_id))
                raise
        return await self.find(owner, background_id)

    async def remove(self, owner: str, background_id: str) -> None:
        """Forget one. What is being made with it is made; raises as `find` does."""
        await self.find(owner, background_id)
        await self._storage().delete(_path(owner, background_id))

    async def open(
        self, options: RemovalOptions, owner: str, *, for_batch: bool = False
    ) -> Background | None:
        """The background picture that options name or bring; None where there is none.

        Args:
            options: What a caller chose.
            owner: Id of the caller's key; empty without one.
            for_batch: Whether it is for many: accepted at once, and decoded until it is let go.

        Raises:
            BackgroundNotFound: If there is none of the id, or it is another's.
            ImageError: If it is for many, and is not a picture we take.
            ServiceError: If it must be tried again later.
        """
        remover, background_id = self._remover, options.background_id
        keep = remover.kept_backgrounds.take if for_batch else never
        if options.bg_image is not None:
            limits = remover.config.limits
            behind = Background(options.bg_image, "bg_image", limits, may_keep=keep)
        elif background_id is not None and background_id not in SCENES:
            picture = await self.picture(owner, background_id)
            behind = Background(picture, "background_id", STORED_LIMITS, may_keep=keep)
        else:
            return None
        if for_batch:
            await remover.accept(behind)
        return behind

    async def clean(self) -> None:
        """Remove what a process has left that was killed while it wrote."""
        if self._blobs is not None:
            await asyncio.to_thread(self._blobs.clean)

    async def notes(self) -> Sequence[str]:
        """What is wrong with the storage, one sentence each."""
        return [] if self._blobs is None else await self._blobs.notes()

    def _check_room(self, uploads: Sequence[Upload], more: int = 0, more_bytes: int = 0) -> None:
        """Refuse more than a key may keep."""
        n_bytes = sum(upload.head.n_bytes for upload in uploads)
        if len(uploads) + more > self.quota.most or n_bytes + more_bytes > self.quota.most_bytes:
            raise BackgroundQuotaExceeded(
                backgrounds=len(uploads),
                max_backgrounds=self.quota.most,
                stored_bytes=n_bytes,
                max_stored_bytes=self.quota.most_bytes,
            )

    async def _read(self, owner: str, background_id: str, most: int) -> tuple[bytes, Head]:
        """The first bytes of an upload, and its head."""
        data = await self._storage().read(_path(owner, background_id), most)
        head = read_head(data or b"")
        if data is None or head is None or len(data) < min(most, head.n_bytes):
            raise BackgroundNotFound
        return data, head

    def _storage(self) -> Blobs:
        """Where uploads lie."""
        if self._blobs is None:
            raise BackgroundNotFound
        return self._blobs

    async def _head(self, blobs: Blobs, blob: Blob) -> Head | None:
        """The head of a blob that is a whole background; None of any other."""
        background_id = blob.path.rpartition("/")[2]
        if not _ID.fullmatch(background_id) or blob.n_bytes == 0:
            return None
        if blob.path not in self._heads:
            head = read_head(await blobs.read(blob.path, HEAD_BYTES) or b"")
            if head is None or head.n_bytes != blob.n_bytes:
                return None
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            self._heads[blob.path] = head
        return self._heads[blob.path]


def _folder(owner: str) -> str:
    return f"backgrounds/{owner}"


def _path(owner: str, background_id: str) -> str:
    """Where an upload lies; what is no id, or nobody's, is like one that there is not."""
    if not (_OWNER.fullmatch(owner) and _ID.fullmatch(background_id)):
        raise BackgroundNotFound
    return f"{_folder(owner)}/{background_id}"
