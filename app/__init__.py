"""Was this file delivered whole? A Faust stream application that answers it from access logs.

    file ─replay─▶ weblogs ─tokenize_lines─▶ weblogs_tokens ─┬─store_raw─▶ each store: raw_weblogs
                      │                                      └─merge_ranges─▶ weblogs_reduced ─store_reduced─▶
                      └─▶ weblogs_rejects ─store_rejects─▶                       each store: reduced_weblogs
    weblogs_tokens ─count_requests─▶ requests_reduced ─store_requests─▶ each store
    votes ─count_votes─▶ votes_reduced ─store_votes─▶ each store      spend ─sum_spend─▶ spend_reduced ─store_spend─▶ each store
    usage ─python -m app usage archive─▶ Parquet files

`faust -A app worker` finds the Faust application as `app.app`. It is made on first use, so that importing a module
below `app` (the client, the domain) costs nothing of Faust.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    root = str(Path(__file__).resolve().parent.parent)
    if root not in sys.path:  # the faust command removes the working directory again after it imported `app`
        sys.path.insert(0, root)
    from app.process.exit import end_when_asked

    end_when_asked()
    from app.worker.assembly import worker_app

    made = globals()["app"] = worker_app()
    return made
