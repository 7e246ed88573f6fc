"""The worker's HTTP server: routes, and the service that runs it beside the flow."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import mode
from aiohttp import web

from app.errors import SettingsError
from app.settings import Settings
from app.stores.contract import Store
from app.web.counted.candidates import answer_candidates, answer_put_candidates, answer_put_users, answer_users
from app.web.counted.event_intake import PostedEvents
from app.web.counted.names import CandidateNames
from app.web.counted.reports import REPORTS, answer_report
from app.web.counted.results import Results
from app.web.counted.spending import (
    answer_buckets,
    answer_spend,
    answer_spender,
    answer_sum,
    answer_top,
    answer_transactions,
)
from app.web.counted.vote_results import answer_distribution, answer_result
from app.web.counted.votes import answer_vote, answer_vote_page, answer_votes
from app.web.deliveries.api import answer_deliveries, answer_key_hash, answer_statistics
from app.web.deliveries.line_intake import Intake
from app.web.deliveries.pages import answer_dashboard, answer_delivery
from app.web.deliveries.posted import FirstLines
from app.web.deliveries.weblogs import answer_weblogs
from app.web.service.access import (
    answer_login,
    answer_login_page,
    answer_logout,
    guarded,
    open_warning,
    refuse_open,
)
from app.web.service.answers import errors_in_words
from app.web.service.body import BodyBudget
from app.web.service.connections import BoundedConnection, Connections
from app.web.service.health import answer_health
from app.web.service.metrics import answer_metrics
from app.web.service.openapi import answer_openapi
from app.web.service.parts import PARTS, WebParts
from app.web.service.rendering import load_templates
from app.web.service.status import Status
from app.web.usage.calls import answer_caller, answer_calls

__all__ = ["SERVER_OPTIONS", "WebService", "make_web_app"]

log = logging.getLogger(__name__)

SERVER_OPTIONS: dict[str, Any] = {
    "auto_decompress": False,  # bodies are decompressed within the limit of app.web.service.body
    "max_line_size": 256 << 10,  # bytes; a key of 64 KiB in percent signs fits into a link
    "keepalive_timeout": 75.0,
}
"""What a runner of this application needs; a TestServer takes them as keyword arguments of start_server."""

SHUTDOWN_TIMEOUT_S = 5.0
"""This long requests under way may still take when the worker stops."""

ACCEPTED_AT_ONCE = 16
"""asyncio accepts this many before any of them is counted: descriptors must last for them beyond the limit."""
BACKLOG = 4096
"""Connections that the system keeps until they are accepted. A client beyond them waits for a second, until its system tries again."""

BODIES_AT_ONCE = 4
"""This many bodies of the largest size may be in flight together."""


_GET = {
    "/": answer_dashboard,
    "/delivery": answer_delivery,
    "/deliveries/{key_hash:[^/]+}": answer_key_hash,
    "/deliveries/": answer_deliveries,
    "/health/": answer_health,
    "/metrics/": answer_metrics,
    "/statistics/": answer_statistics,
    "/openapi.json": answer_openapi,
    "/login": answer_login_page,
    "/vote_to_{candidate_id:[^/]+}": answer_vote_page,
    "/result/": answer_result,
    "/candidates/": answer_candidates,
    "/users/": answer_users,
    **{f"/voting_distribution{end}": answer_distribution for end in ("/", ".json", ".csv", ".svg", ".png")},
    "/spender": answer_spender,
    "/spending/top/": answer_top,  # a user called top has /spending/top/buckets
    "/spending/{user_id:[^/]+}/": answer_buckets,
    "/spending/{user_id:[^/]+}/buckets/": answer_buckets,
    "/spending/{user_id:[^/]+}/transactions/": answer_transactions,
    "/spending/{user_id:[^/]+}/sum/": answer_sum,
    **{f"/reports/{question}/": answer_report for question in REPORTS},
    "/caller": answer_caller,
    "/usage/{user_id:[^/]+}/": answer_calls,
}
_POST = {
    "/weblogs/": answer_weblogs,
    "/login": answer_login,
    "/logout": answer_logout,
    "/vote/": answer_vote,
    "/votes/": answer_votes,
    "/candidates/": answer_put_candidates,
    "/users/": answer_put_users,
    "/spending/": answer_spend,
}
"""Path to handler. One that ends in a slash is answered without it, too."""


def make_web_app(
    store: Store,
    status: Status,
    intake: Intake,
    settings: Settings,
    events: PostedEvents,
    names: CandidateNames,
    results: Results,
    stopping: Callable[[], bool] = lambda: False,
    fed: Sequence[Store] = (),
) -> web.Application:
    """The application on its parts; it opens and closes none of them. `fed`: the stores that this worker writes to."""
    app = web.Application(middlewares=[errors_in_words, guarded])
    budget = BodyBudget(BODIES_AT_ONCE * settings.web_max_body_bytes)
    stores = (store, *(other for other in fed if other is not store))
    app[PARTS] = WebParts(
        store, stores, status, intake, FirstLines(settings), settings, budget, events, names, stopping, results
    )
    app.cleanup_ctx.append(results.run)
    for add, routes in ((app.router.add_get, _GET), (app.router.add_post, _POST)):
        for path, handler in routes.items():
            add(path, handler)
            if path.endswith("/") and path != "/":
                add(path[:-1], handler)
    return app


class WebService(mode.Service):
    """Serves the application from start to stop of the worker."""

    def __init__(self, web_app: web.Application, settings: Settings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._web_app = web_app
        self._settings = settings
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Server | None = None
        self._connections = Connections(settings.web_connections)
        self.port = 0
        """The bound port, once started."""

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        host = self._settings.web_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    async def on_start(self) -> None:
        """Raises SettingsError when the address cannot be listened on; mode then ends the worker with an error."""
        refuse_open(self._settings)
        if warning := open_warning(self._settings):
            log.warning("web: %s", warning)
        load_templates()
        runner = web.AppRunner(self._web_app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
        await runner.setup()
        server, options = runner.server, {"access_log": None, **SERVER_OPTIONS}
        assert server is not None
        try:
            self._listening = await self.loop.create_server(
                lambda: BoundedConnection(self._connections, server, **options),
                self._settings.web_host,
                self._settings.web_port,
                backlog=ACCEPTED_AT_ONCE,
            )
            for each in self._listening.sockets:
                with socket.socket(fileno=os.dup(each.fileno())) as same:
                    same.listen(BACKLOG)
        except OSError as error:
            await runner.cleanup()
            raise self._not_bound(error) from None
        self._runner = runner
        self.port = self._listening.sockets[0].getsockname()[1]
        self.add_future(self._connections.watch())
        log.info("web: listening on %s", self.url)

    def _not_bound(self, error: OSError) -> SettingsError:
        address = f"{self._settings.web_host}:{self._settings.web_port}"
        reason = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else error.strerror or str(error)
        return SettingsError(
            f"The web server cannot listen on {address}: {reason}; stop what listens there or set WEBLOGS_WEB_HOST and WEBLOGS_WEB_PORT."
        )

    async def settle(self) -> None:
        """Returns when nothing that was asked is under way, or after SHUTDOWN_TIMEOUT_S; the application refuses what comes meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
                await self._connections.settle()

    async def on_stop(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._connections.tell()
