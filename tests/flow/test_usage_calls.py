"""From a service to the stores: monitored calls are there at once, each once, whenever the worker is killed; the check finds all of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from app.archiving.check import Places, check_usage
from app.archiving.storage import Folder
from app.archiving.stored import show_stored
from app.archiving.worker import Archiver, ArchiveRules
from app.domain.usage.records import UsageRecord
from app.process.crash_points import USAGE_POINTS
from app.settings import Settings
from app.transports.broker_view import open_view
from app.usage.log import UsageLog
from app.usage.options import UsageOptions
from tests.flow.running import KILLED, Flow

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
CALLS = 600


def serve(flow: Flow) -> None:
    """A service that ends in order; each second user is monitored."""
    options = UsageOptions(
        service="shop",
        spool=flow.folder / "spool",
        broker=f"sqlite:///{flow.folder}/weblogs-log.db",
        machine="m1",
        monitored=None,
        batch_records=20,
    )
    log = UsageLog(options)
    for number in range(CALLS):
        log.record("request", user_id=f"u{number % 10}", monitored=number % 2 == 0, method="GET", uri=f"/{number}")
    assert log.stop(60)


@pytest.mark.parametrize("point", [*USAGE_POINTS, "store_written"])
def test_a_worker_killed_at_a_named_point_stores_every_monitored_call_once(tmp_path: Path, point: str) -> None:
    with Flow(tmp_path / "var") as flow:
        flow.start_worker()
        flow.wait_started()
        flow.kill_worker()
        serve(flow)
        assert flow.start_worker(CRASH_AT=f"{point}:1").wait(120) == KILLED, flow.log_text()[-2000:]
        flow.start_worker()
        flow.wait_drained()
        found = flow.get("usage/u2?from=-1h")
        assert len(found["calls"]) == CALLS // 10 and not found["more"]
        assert [each["seq"] for each in found["calls"]] == sorted(each["seq"] for each in found["calls"])
        assert flow.get("usage/u3?from=-1h")["calls"] == []
        flow.stop_worker()
        settings = Settings(data_dir=flow.folder, broker=f"sqlite:///{flow.folder}/weblogs-log.db")
        view = open_view(settings)
        assert view is not None
        archive = Folder(flow.folder / "usage")
        Archiver(view, "usage", archive, ArchiveRules("csv", interval_s=0.0)).run_once()
        stores = {"sqlite": partial(show_stored, "sqlite", settings)}
        places = Places(view, "usage", archive, "csv", [], stores=stores, flow=settings.flow_id)
        report = check_usage(places)
        assert (report.exit_code, report.problems) == (0, [])
        (state,) = report.states
        assert {held.side: held.records for held in state.held} == {
            "archive": CALLS + 2,
            "topic": CALLS + 2,
            "sqlite": CALLS // 2,
        }
        stored: list[UsageRecord] = []
        stores["sqlite"](stored.append)
        assert len(stored) == CALLS // 2
        view.close()
