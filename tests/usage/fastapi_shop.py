"""A FastAPI application with answers of all kinds. In a module of its own: who collects tests does not import FastAPI, which takes long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse

__all__ = ["shop"]


def shop() -> FastAPI:
    app = FastAPI()

    @app.get("/item")
    @app.head("/item")
    async def item() -> dict[str, str]:
        return {"name": "shoe"}

    @app.post("/items")
    async def items(request: Request) -> JSONResponse:
        return JSONResponse({"got": len(await request.body())}, 201)

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(401)

    @app.get("/broken")
    async def broken() -> None:
        raise LookupError("no such shelf")

    @app.get("/unavailable")
    async def unavailable() -> JSONResponse:
        return JSONResponse({}, 503)

    @app.get("/late")
    async def late() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(10)

    @app.get("/stream")
    async def stream(pieces: int, pause_s: float = 0.0) -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(pieces):
                yield b"x" * 1000
                await asyncio.sleep(pause_s)

        return StreamingResponse(body())

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    return app
