"""An older snapshot of Elasticsearch is restored by the page: `check` names what came after it, `repair` brings it back."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests import ROOT
from tests.live.contents import live_into_stores, stored_raw
from tests.live.running import Live
from tests.live.test_kafka_losses import app, problems, send_lines
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]
PAGE = (ROOT / "docs/how-to/back-up-and-restore.md").read_text().partition("### Elasticsearch")[2].partition("\n## ")[0]
TAKING, RESTORING, MENDING = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def run(live: Live, commands: str) -> None:
    prefix = live.settings.elasticsearch_prefix
    commands = commands.replace("http://127.0.0.1:9200", live.settings.elasticsearch_url)
    commands = re.sub(r"([',])(\w+-\*)", rf"\1{prefix}\2", commands)
    commands = commands.replace("_snapshot/weblogs", f"_snapshot/{prefix}weblogs")
    done = subprocess.run(["sh", "-e", "-c", commands], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_snapshot_is_restored_and_what_came_after_it_is_named_and_brought_back(
    tmp_path: Path, broker: Server
) -> None:
    with live_into_stores(tmp_path / "live", broker, FORMAT="combined") as live:
        worker = live.start_worker()
        live.wait_started()
        send_lines(live, 10)
        live.wait_drained()
        run(live, TAKING)
        send_lines(live, 20)
        live.wait_drained()
        worker.stop()
        run(live, TAKING.rpartition("curl")[0] + RESTORING)
        assert len(stored_raw("elasticsearch", live.settings)[0]) == 10
        live.start_worker("again")
        live.wait_started("again")
        live.wait_until(lambda: problems(live, "again") == [], "a healthy worker", 60)
        check, repair = (line.split()[3:] for line in MENDING.splitlines())
        told = app(live, *check, "--quiet")
        assert told.returncode == 1 and "elasticsearch: 20 hits missing" in told.stdout, told.stdout + told.stderr
        mended = app(live, *repair, "--quiet")
        assert mended.returncode == 0, mended.stdout + mended.stderr
        clean = app(live, *check, "--quiet")
        assert clean.returncode == 0, clean.stdout + clean.stderr
