"""`GET /health`: 200 while pictures are served, 503 while they are not."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from service.http.dependencies import GivenServices
from service.http.exchange import exchange_of
from service.http.schemas import UNHEALTHY, Health, Problem, Unhealthy

router = APIRouter(tags=["health"])


@router.head("/health", include_in_schema=False)
@router.get(
    "/health",
    operation_id="readHealth",
    response_model=Health,
    responses={403: {"model": Problem}, 503: {"model": Unhealthy}},
)
async def health(request: Request, services: GivenServices) -> JSONResponse:
    """State of the service, with reasons; `unhealthy` comes with status 503."""
    report = await services.health.report()
    if report.status == "unhealthy":
        exchange = exchange_of(request.scope)
        exchange.error_code = UNHEALTHY
        problem = Unhealthy(**report.model_dump(), request_id=exchange.request_id)
        return JSONResponse(problem.model_dump(), status_code=503, headers={"Retry-After": "5"})
    return JSONResponse(report.model_dump(exclude={"error", "detail"}))
