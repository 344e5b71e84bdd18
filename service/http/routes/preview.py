"""`WS /preview`: a picture that stays, and what is made of it while a caller changes its mind."""

from __future__ import annotations

from fastapi import APIRouter, WebSocket

from service.http.dependencies import GivenServices
from service.http.exchange import exchange_of
from service.http.preview_socket import PreviewSocket
from service.removal.background import Background
from service.removal.options import RemovalOptions

router = APIRouter(tags=["removal"])


@router.websocket("/preview")
async def preview(socket: WebSocket, services: GivenServices) -> None:
    """Preview one picture after the other.

    Raises:
        BackgroundRemovalError: Before it is accepted: why it is not.
    """
    key_id = exchange_of(socket.scope).caller.key_id

    async def open_background(options: RemovalOptions) -> Background | None:
        return await services.backgrounds.open(options, key_id)

    with services.previews.open(open_background) as opened:
        await socket.accept()
        await PreviewSocket(socket, opened, services).run()
