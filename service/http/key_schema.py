"""How API keys are sent, for OpenAPI: where they count, and where nobody is served without one."""

from __future__ import annotations

from typing import Any

from service.access.caller import ANONYMOUS
from service.http.policies import PREFIX, create_policies

_SCHEMES = {
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A key that the operator handed out; it raises the limits",
    },
    "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key"},
}


def add_key_schemes(schema: dict[str, Any], require_key: bool) -> None:
    """Say of every operation whether a key is of use, as the table of policies has it.

    Args:
        schema: The schema of the application; changed in place.
        require_key: Whether nothing that counts is served without a key.
    """
    schema["components"]["securitySchemes"] = _SCHEMES
    policies = create_policies(0, 0)  # how large a body may be is no part of it
    for path, operations in schema["paths"].items():
        policy = policies.of(PREFIX + path)
        if policy.cost == 0:  # keys are not looked at
            continue
        for operation in operations.values():
            security: list[dict[str, list[str]]] = [{name: []} for name in _SCHEMES]
            if ANONYMOUS in policy.tiers and not require_key:
                security.append({})
            operation["security"] = security
