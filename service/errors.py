"""What a caller can do wrong, and what makes us ask them to come back later.

The whole tree::

    BackgroundRemovalError                   models/errors.py
    ├─ ModelError ...                        models/errors.py
    ├─ RequestError                          the caller can fix it
    │  ├─ InvalidRequest
    │  ├─ HostNotAllowed
    │  ├─ OriginNotAllowed                service/http/origin_check.py
    │  ├─ NotFound
    │  ├─ BackgroundNotFound
    │  ├─ BackgroundQuotaExceeded
    │  ├─ MethodNotAllowed
    │  ├─ AccessDenied
    │  ├─ ApiKeyRequired
    │  ├─ InvalidApiKey
    │  ├─ ConflictingApiKeys
    │  ├─ NotAcceptable
    │  ├─ BodyTooLarge
    │  ├─ UploadTimeout
    │  ├─ RateLimited
    │  ├─ PreviewsDisabled                service/preview/errors.py
    │  ├─ ImageUrlDisabled                service/outbound/errors.py
    │  ├─ ImageUrlUnreachable             service/outbound/errors.py
    │  ├─ ImageUrlFailed                  service/outbound/errors.py
    │  └─ ImageError
    │     ├─ EmptyImage
    │     ├─ FileTooLarge
    │     ├─ UnsupportedFormat
    │     ├─ CorruptImage
    │     ├─ ImageBomb
    │     ├─ ResolutionTooLarge
    │     ├─ ResolutionTooSmall
    │     └─ AnimatedImage
    └─ ServiceError                          try again later
       ├─ ServiceBusy
       ├─ InferenceUnavailable
       ├─ GpuMemoryExhausted
       ├─ MemoryExhausted
       ├─ StorageUnavailable              service/blobs/blobs.py
       ├─ StorageFull                     service/blobs/blobs.py
       ├─ ProcessingTimeout
       └─ ShuttingDown

Their HTTP numbers are in ``service/http/problems.py`` alone.
"""

from __future__ import annotations

from models.errors import BackgroundRemovalError


class CannotStart(SystemExit):
    """The service refuses to start: status 1, and one sentence per reason; no traceback.

    Args:
        reasons: One sentence each.
    """

    def __init__(self, *reasons: object) -> None:
        super().__init__("\n  ".join(("The service cannot start:", *map(str, reasons))))


class _PublicError(BackgroundRemovalError):
    """An error whose sentence was written for the caller."""

    @property
    def detail(self) -> str:
        """The sentence given when it was raised, else the class's own."""
        return str(self)


class RequestError(_PublicError):
    """The caller can fix it."""

    code = "BAD_REQUEST"
    public_message = "The request cannot be served"


class InvalidRequest(RequestError):
    """The form is not the one the route asks for."""

    code = "INVALID_REQUEST"
    public_message = "The request is not valid"


class HostNotAllowed(RequestError):
    """A browser called a service on this machine by a name that could be anybody's."""

    code = "HOST_NOT_ALLOWED"
    public_message = (
        "A browser may not call this service by this host name; use localhost, or have its "
        "operator add the name to BIREFNET_ALLOWED_HOSTS"
    )


class NotFound(RequestError):
    """There is nothing at this address."""

    code = "NOT_FOUND"
    public_message = "There is nothing at this address"


class BackgroundNotFound(RequestError):
    """There is no such background, or it is somebody else's; it is not said which."""

    code = "BACKGROUND_NOT_FOUND"
    public_message = "There is no such background"


class BackgroundQuotaExceeded(RequestError):
    """The holder of a key has as many backgrounds as it may."""

    code = "BACKGROUND_QUOTA_EXCEEDED"
    public_message = "You have as many backgrounds as you may; delete one first"


class MethodNotAllowed(RequestError):
    """The address does not take this method."""

    code = "METHOD_NOT_ALLOWED"
    public_message = "This address does not take this method"


class AccessDenied(RequestError):
    """The address is there, for others."""

    code = "ACCESS_DENIED"
    public_message = "You may not use this address"


class ApiKeyRequired(RequestError):
    """No API key was sent to a service, or an address, that asks for one."""

    code = "API_KEY_REQUIRED"
    public_message = "Send an API key, from the operator, as X-API-Key or Authorization: Bearer"


class InvalidApiKey(RequestError):
    """An API key was sent that does not count: unknown, wrong or revoked; it is not said which."""

    code = "INVALID_API_KEY"
    public_message = "The API key is not valid"


class ConflictingApiKeys(RequestError):
    """Two different API keys were sent with one request."""

    code = "CONFLICTING_API_KEYS"
    public_message = "X-API-Key and Authorization hold different API keys; send one"


class NotAcceptable(RequestError):
    """The caller accepts no media type that can be made."""

    code = "NOT_ACCEPTABLE"
    public_message = "The Accept header names nothing this can be answered with"


class BodyTooLarge(RequestError):
    """The address takes no body, or none that large."""

    code = "BODY_TOO_LARGE"
    public_message = "The body is larger than this address takes"


class UploadTimeout(RequestError):
    """The body stopped arriving."""

    code = "UPLOAD_TIMEOUT"
    public_message = "The upload made no progress and was given up"


class RateLimited(RequestError):
    """The client sent more than its share."""

    code = "RATE_LIMIT_EXCEEDED"
    public_message = "Rate limit exceeded"
    retryable = True


class ImageError(RequestError):
    """The uploaded file is not a picture we take."""

    code = "INVALID_IMAGE"
    public_message = "The image cannot be processed"


class UnknownForeground(ImageError):
    """Nothing was found that could be a subject; told only where a client expects that."""

    code = "UNKNOWN_FOREGROUND"
    public_message = "No subject was found in the image"


class EmptyImage(ImageError):
    """The uploaded file has no bytes."""

    code = "EMPTY_FILE"
    public_message = "The uploaded file is empty"


class FileTooLarge(ImageError):
    """The uploaded file has too many bytes."""

    code = "FILE_TOO_LARGE"
    public_message = "File size exceeds the limit"


class UnsupportedFormat(ImageError):
    """The uploaded file is not in a format we read."""

    code = "INVALID_FORMAT"
    public_message = "Unsupported file format. Please upload JPEG, PNG, or WebP."


class CorruptImage(ImageError):
    """The uploaded file says it is a picture and cannot be decoded."""

    code = "CORRUPT_IMAGE"
    public_message = "The image is damaged or not a valid file of its format"


class ImageBomb(ImageError):
    """The picture would unpack to far more than was sent."""

    code = "IMAGE_BOMB"
    public_message = "Image bomb detected"


class ResolutionTooLarge(ImageError):
    """The picture has more pixels a side than 8K."""

    code = "RESOLUTION_TOO_LARGE"
    public_message = "Image resolution exceeds 8K (7680x4320)"


class ResolutionTooSmall(ImageError):
    """The picture is too small to hold a subject."""

    code = "RESOLUTION_TOO_SMALL"
    public_message = "Image resolution is below the minimum of 64x64"


class AnimatedImage(ImageError):
    """The picture has more frames than we are willing to look at."""

    code = "ANIMATED_IMAGE"
    public_message = "The image has too many frames"


class ServiceError(_PublicError):
    """Try again later."""

    code = "SERVICE_UNAVAILABLE"
    public_message = "The service is unavailable"
    retryable = True


class ServiceBusy(ServiceError):
    """Everything we can hold at once is held."""

    code = "SERVICE_BUSY"
    public_message = "The service is busy"


class InferenceUnavailable(ServiceError):
    """The inference service does not answer; it is being replaced."""

    code = "INFERENCE_UNAVAILABLE"
    public_message = "The inference service is restarting"


class GpuMemoryExhausted(ServiceError):
    """The GPU has no memory for this request."""

    code = "GPU_MEMORY_EXHAUSTED"
    public_message = "Insufficient GPU memory to process request"


class MemoryExhausted(ServiceError):
    """This machine has no memory for the picture now."""

    code = "MEMORY_EXHAUSTED"
    public_message = "Not enough memory for this picture now; try again, or send a smaller one"


class ProcessingTimeout(ServiceError):
    """The deadline passed before the picture was ready."""

    code = "PROCESSING_TIMEOUT"
    public_message = "Processing timeout exceeded"


class ShuttingDown(ServiceError):
    """The service is stopping and takes no new picture."""

    code = "SHUTTING_DOWN"
    public_message = "The service is shutting down"
