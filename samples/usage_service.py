"""A service that records its calls: `make run-usage` starts it. Copy the three lines with `log` and UsageASGI into yours."""

from __future__ import annotations

import os
import random
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse

from app.usage.asgi import UsageASGI
from app.usage.log import UsageLog
from app.usage.options import UsageOptions

shop = FastAPI(title="Shop")


@shop.get("/", response_class=HTMLResponse)
async def page() -> str:
    links = "".join(f'<li><a href="{path}">{path}</a>' for path in ("/items/1", "/items/99", "/broken", "/docs"))
    return f"<title>Shop</title><h1>Shop</h1><p>Each click is a request and a response record.<ul>{links}</ul>"


@shop.get("/items/{number}")
async def item(number: int) -> dict[str, int]:
    if number > 20:
        raise HTTPException(404, "no such item")
    return {"item": number, "cents": random.randint(100, 9999)}


@shop.post("/orders", status_code=201)
async def order(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@shop.get("/broken")
async def broken() -> None:
    raise LookupError("no such shelf")


def user_of(scope: object) -> str | None:
    """Here the head `x-user` says who calls; take what your login knows."""
    found = dict(scope["headers"]).get(b"x-user")  # type: ignore[index]
    return found.decode("latin-1") if found else None


log = UsageLog(
    UsageOptions(
        service="shop",
        spool=Path(os.environ.get("USAGE_SPOOL", "var/usage-spool")),
        broker=os.environ.get("USAGE_BROKER", "sqlite:///var/weblogs-log.db"),
    )
)
app = UsageASGI(shop, log, user_of)
