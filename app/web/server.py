"""The worker's HTTP server: routes, and the service that runs it beside the flow."""

from __future__ import annotations

import logging
import os
from typing import Any

import mode
from aiohttp import web

from app.errors import SettingsError
from app.settings import Settings
from app.stores.contract import Store
from app.web.answers import errors_in_words
from app.web.body import BodyBudget
from app.web.deliveries import answer_deliveries, answer_key_hash
from app.web.health import answer_health
from app.web.intake import Intake
from app.web.metrics import answer_metrics
from app.web.pages import answer_dashboard, answer_delivery
from app.web.parts import PARTS, Parts
from app.web.status import Status
from app.web.weblogs import answer_weblogs

__all__ = ["SERVER_OPTIONS", "WebService", "make_web_app"]

log = logging.getLogger(__name__)

SERVER_OPTIONS: dict[str, Any] = {
    "auto_decompress": False,  # bodies are decompressed within the limit of app.web.body
    "max_line_size": 256 << 10,  # bytes; a key of 64 KiB in percent signs fits into a link
    "keepalive_timeout": 75.0,
}
"""What a runner of this application needs; a TestServer takes them as keyword arguments of start_server."""

SHUTDOWN_TIMEOUT_S = 5.0
"""So long requests under way may still take when the worker stops."""

BODIES_AT_ONCE = 4
"""So many bodies of the largest size may be in flight together."""


def make_web_app(store: Store, status: Status, intake: Intake, settings: Settings) -> web.Application:
    """The application on its parts; it opens and closes none of them."""
    app = web.Application(middlewares=[errors_in_words])
    app[PARTS] = Parts(store, status, intake, settings, BodyBudget(BODIES_AT_ONCE * settings.web_max_body_bytes))
    app.router.add_get("/", answer_dashboard)
    app.router.add_get("/delivery", answer_delivery)
    app.router.add_get("/deliveries/{key_hash:[^/]+}", answer_key_hash)
    for path, handler in {"/deliveries": answer_deliveries, "/health": answer_health, "/metrics": answer_metrics}.items():
        app.router.add_get(path, handler)
        app.router.add_get(path + "/", handler)
    for path in ("/weblogs", "/weblogs/"):
        app.router.add_post(path, answer_weblogs)
    return app


class WebService(mode.Service):
    """Serves the application from start to stop of the worker."""

    def __init__(self, web_app: web.Application, settings: Settings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._web_app = web_app
        self._settings = settings
        self._runner: web.AppRunner | None = None
        self.port = 0
        """The bound port, once started."""

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        host = self._settings.web_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    async def on_start(self) -> None:
        """Raises SettingsError when the address can not be listened on; mode then ends the worker with an error."""
        runner = web.AppRunner(self._web_app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S, **SERVER_OPTIONS)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._settings.web_host, self._settings.web_port).start()
        except OSError as error:
            await runner.cleanup()
            raise self._not_bound(error) from None
        self._runner = runner
        self.port = runner.addresses[0][1]
        log.info("web: listening on %s", self.url)

    def _not_bound(self, error: OSError) -> SettingsError:
        address = f"{self._settings.web_host}:{self._settings.web_port}"
        reason = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else error.strerror or str(error)
        return SettingsError(
            f"The web server can not listen on {address}: {reason}; stop what listens there or set WEBLOGS_WEB_HOST and WEBLOGS_WEB_PORT."
        )

    async def on_stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
