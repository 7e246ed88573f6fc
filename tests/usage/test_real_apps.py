"""Django by WSGI and ASGI, Flask, FastAPI and aiohttp under uvicorn and gunicorn, with the application loaded before the fork, too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import requests

from tests import ROOT
from tests.usage.reading import records, states
from tests.usage.served import listening

pytestmark = pytest.mark.long

CALLS = 40
DJANGO = """
import django
from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.urls import path
def item(request): return JsonResponse({"name": "shoe"})
def broken(request): raise LookupError("no such shelf")
urlpatterns = [path("item", item), path("broken", broken)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", LOGGING_CONFIG=None, DEBUG=False)
django.setup()
"""
APPS = {
    "django_wsgi": DJANGO + "from django.core.wsgi import get_wsgi_application\nfrom app.usage.wsgi import UsageWSGI\n"
    "app = UsageWSGI(get_wsgi_application(), log)\n",
    "django_asgi": DJANGO + "from django.core.asgi import get_asgi_application\nfrom app.usage.asgi import UsageASGI\n"
    "app = UsageASGI(get_asgi_application(), log)\n",
    "flask": "from flask import Flask\nfrom app.usage.wsgi import UsageWSGI\napp = Flask('shop')\n"
    "@app.get('/item')\ndef item(): return {'name': 'shoe'}\n"
    "@app.get('/broken')\ndef broken(): raise LookupError('no such shelf')\n"
    "app.wsgi_app = UsageWSGI(app.wsgi_app, log)\n",
    "fastapi": "from tests.usage.fastapi_shop import shop\nfrom app.usage.asgi import UsageASGI\napp = UsageASGI(shop(), log)\n",
    "aiohttp": "from aiohttp import web\nfrom app.usage.aiohttp_server import record_calls\n"
    "async def item(request): return web.json_response({'name': 'shoe'})\n"
    "async def broken(request): raise LookupError('no such shelf')\n"
    "app = web.Application()\napp.router.add_get('/item', item)\napp.router.add_get('/broken', broken)\nrecord_calls(app, log)\n",
}
GUNICORN = ("gunicorn", "-b", "127.0.0.1:{port}", "-w", "2", "--log-level", "critical")
SERVERS = {
    "gunicorn, preload": (*GUNICORN, "--preload"),
    "gunicorn": GUNICORN,
    "gunicorn, preload, aiohttp workers": (*GUNICORN, "--preload", "-k", "aiohttp.GunicornWebWorker"),
    "uvicorn": ("uvicorn", "--port", "{port}", "--log-level", "critical"),
    "uvicorn, two workers": ("uvicorn", "--port", "{port}", "--log-level", "critical", "--workers", "2"),
}
CASES = [
    ("django_wsgi", "gunicorn, preload"),
    ("django_wsgi", "gunicorn"),
    ("django_asgi", "uvicorn"),
    ("flask", "gunicorn, preload"),
    ("fastapi", "uvicorn, two workers"),
    ("aiohttp", "gunicorn, preload, aiohttp workers"),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("app", "server"), CASES, ids=[f"{app}, {server}" for app, server in CASES])
def test_every_call_has_both_records_and_each_process_a_whole_sequence_of_its_own(
    tmp_path: Path, app: str, server: str
) -> None:
    """The log is used before the fork, too: `loaded` is a record of the process that loads the application."""
    (tmp_path / "served.py").write_text(
        "from pathlib import Path\nfrom tests.usage.reading import opened\n"
        f"log = opened(Path({str(tmp_path / 'spool')!r}))\nlog.record('request', uri='loaded')\n" + APPS[app]
    )
    with listening() as place:
        port = place.getsockname()[1]
    command = [sys.executable, "-m", *(word.format(port=port) for word in SERVERS[server]), "served:app"]
    paths = [str(ROOT), str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, process_group=0)
    with process:
        deadline = time.monotonic() + 120
        while True:
            try:
                requests.get(f"http://127.0.0.1:{port}/item", timeout=60)
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline and process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.1)

        answers = Counter(
            requests.get(f"http://127.0.0.1:{port}{path}", timeout=60).status_code
            for path in ("/item", "/broken", "/nothing", "/item") * (CALLS // 4)
        )
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert answers == {200: CALLS // 2, 500: CALLS // 4, 404: CALLS // 4}
    made = [record for record in records(tmp_path / "spool") if record.uri != "loaded"]
    kinds = Counter(record.kind for record in made)
    assert kinds["request"] == kinds["response"] == CALLS + 1
    answered = [record for record in made if record.kind == "response"]
    assert sum(record.status == 404 for record in answered) == CALLS // 4
    # of an exception that leaves the application the server makes the 500, which the middleware does not see
    assert sum(record.status == 500 or record.outcome == "exception" for record in answered) == CALLS // 4
    found = states(tmp_path / "spool", with_marks=False)
    assert not any(state.differs for state in found)
    served = {record.start_id for record in made if record.kind == "response"}
    assert served <= {state.producer.rpartition("/")[2] for state in found if not state.is_unknown}
