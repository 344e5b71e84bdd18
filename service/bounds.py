"""What settings mean for the bounds of removals, with a server or without one."""

from __future__ import annotations

from service.imaging.guard import ImageLimits
from service.removal.bounds import RemoverConfig
from service.resources import allowed_bytes
from service.settings import Settings


def bounds_of(settings: Settings) -> RemoverConfig:
    """How much is worked on at once, and for how long."""
    return RemoverConfig(
        limits=ImageLimits(
            max_bytes=int(settings.max_image_size_mb * 1024**2),
            max_pixels=int(settings.max_megapixels * 1e6),
            max_ratio=settings.max_decompression_ratio,
        ),
        timeout_s=settings.processing_timeout_sec,
        workers=settings.num_workers,
        max_queue=settings.max_queue,
        max_bytes=_picture_bytes(settings),
    )


def _picture_bytes(settings: Settings) -> int:
    """Memory for pictures; what nobody has set leaves as much again to everything else."""
    if settings.max_picture_memory_mb is not None:
        return settings.max_picture_memory_mb * 1024**2
    return min(settings.num_workers * 1024**3, allowed_bytes() // 2)
