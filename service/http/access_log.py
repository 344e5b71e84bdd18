"""One line of the log for every request: for people, and with the same facts as keys for JSON."""

from __future__ import annotations

import logging
import re
from urllib.parse import quote

from starlette.types import Scope

from service.http.exchange import Exchange, method_of

log = logging.getLogger(__name__)

_PATH_CHARACTERS = 512
_TASK_ID = re.compile(r"[0-9a-fA-F]{32}")  # whoever reads one in the log would have the task


def log_exchange(scope: Scope, exchange: Exchange, elapsed_ms: float) -> None:
    """Write the line of a finished request; of a probe that was answered, when debugging only.

    Args:
        scope: The request's.
        exchange: What became of it.
        elapsed_ms: From its head to the end of its answer.
    """
    method = method_of(scope)
    # Encoded again: in a decoded path, spaces could tell of a status or a client of its own.
    path = _TASK_ID.sub("-", scope["path"])
    path = quote(path, safe="/!$&'()*+,;:@~", errors="backslashreplace")[:_PATH_CHARACTERS]
    answered_probe = exchange.policy.is_probe and exchange.error_code is None
    log.log(
        logging.DEBUG if answered_probe else logging.INFO,
        "%s %s %d %.1fms in=%d out=%d client=%s id=%s%s%s",
        method,
        path,
        exchange.status,
        elapsed_ms,
        exchange.bytes_in,
        exchange.bytes_out,
        exchange.caller.key,
        exchange.request_id,
        f" trace={exchange.trace_id}" if exchange.trace_id else "",
        f" error={exchange.error_code}" if exchange.error_code else "",
        extra={"fields": _fields(method, path, elapsed_ms, exchange)},
    )
    if exchange.stages_ms:
        stages = " ".join(f"{name}={ms:.1f}" for name, ms in exchange.stages_ms.items())
        log.debug("stages of %s in ms: %s", exchange.request_id, stages)


def _fields(method: str, path: str, elapsed_ms: float, exchange: Exchange) -> dict[str, object]:
    """The same for a log in JSON."""
    return {
        "method": method,
        "path": path,
        "route": exchange.policy.route,
        "status": exchange.status,
        "ms": round(elapsed_ms, 1),
        "in": exchange.bytes_in,
        "out": exchange.bytes_out,
        "client": exchange.caller.key,
        "request_id": exchange.request_id,
        **({"trace_id": exchange.trace_id} if exchange.trace_id else {}),
        "error_code": exchange.error_code,
        "stages": {name: round(ms, 1) for name, ms in exchange.stages_ms.items()},
    }
