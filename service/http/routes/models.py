"""`GET /models`: what is served, under which licence, and what runs it."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from models.catalog import ALIASES
from service.http.dependencies import GivenServices, Services
from service.http.schemas import ModelInfo, Models, Problem
from service.removal.ports import InferenceStatus, ServedModel

router = APIRouter(tags=["models"])


@router.head("/models", include_in_schema=False)
@router.get(
    "/models",
    operation_id="listModels",
    response_model=Models,
    responses={403: {"model": Problem}},
)
async def models(services: GivenServices) -> JSONResponse:
    """The models that callers can choose, the default one first."""
    return JSONResponse((await list_models(services)).model_dump())


async def list_models(services: Services) -> Models:
    """The models that are served, as the API shows them."""
    told = (await services.health.check()).told
    served = services.remover.models.values()
    return Models(models=[_info(model, told.get(model.spec.name)) for model in served])


def _info(model: ServedModel, status: InferenceStatus | None) -> ModelInfo:
    spec = model.spec
    engine = status.status.engine if status else None
    return ModelInfo(
        name=spec.name,
        aliases=[name for name, alias in ALIASES.items() if alias.serves == spec.name],
        architecture=spec.network_name,
        purpose=spec.purpose,
        input_size=f"{spec.input.width}x{spec.input.height}",
        checkpoint_bytes=spec.size_bytes,
        licence=spec.licence,
        caveat=spec.caveat,
        light=spec.light,
        available=engine is not None,
        engine=engine.name if engine else None,
        precision=engine.precision.value if engine else None,
        precision_reason=status.status.precision_reason or None if status else None,
        device=engine.device if engine else None,
    )
