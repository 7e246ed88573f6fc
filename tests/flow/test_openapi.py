"""The worker answers as `/openapi.json` says, whatever it is asked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from app.web.service.openapi import document
from tests import ROOT
from tests.flow.running import Flow
from tests.flow.voting import get, post

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Flow]:
    with Flow(tmp_path / "var", ADMIN_TOKEN="secret") as flow:
        flow.start_worker()
        flow.wait_started()
        yield flow
        if flow.worker is not None and flow.worker.poll() is None:
            flow.stop_worker()


def test_the_description_is_served_and_every_path_in_it_is_answered(flow: Flow) -> None:
    told = get(flow.url(), "/openapi.json")
    assert told == json.loads(json.dumps(document()))
    reference = (ROOT / "docs/reference/http.md").read_text()
    for path in told["paths"]:
        shown = re.sub(
            r"\{\w+\}",
            lambda match: {"{candidate_id}": "ID", "{user_id}": "USER", "{key_hash}": "KEY_HASH"}[match[0]],
            path,
        )
        assert shown in reference, f"{shown} is not in docs/reference/http.md"


def fill(flow: Flow) -> None:
    """Something of everything that can be asked for."""
    assert post(flow.url(), "/votes/", [{"candidate_id": 1 + i % 3} for i in range(30)])[0] == 200
    assert post(flow.url(), "/spending/", [{"user_id": f"u{i % 3}", "cents": 100 + i} for i in range(30)])[0] == 200
    with urlopen(Request(f"{flow.url()}weblogs/", (ROOT / "samples/weblogs.tsv").read_bytes()), timeout=60) as taken:
        assert taken.status == 200
    flow.wait_drained()


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("token", ["secret", ""], ids=["as the admin", "as anybody"])
def test_no_request_gets_an_answer_outside_the_description(flow: Flow, token: str) -> None:
    """For SCHEMA_S seconds in all phases, at least one example of each path; 90 without it."""
    fill(flow)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{flow.url()}openapi.json",
        *("--url", flow.url().rstrip("/")),
        *("--request-timeout", "60"),
        *("--checks", CHECKS),
        *("--phases", "examples,coverage,fuzzing,stateful"),
        *("--max-time", os.environ.get("SCHEMA_S", "90")),
        *("--seed", os.environ.get("SCHEMA_SEED", "1")),
        *(("--header", f"Authorization: Bearer {token}") if token else ()),
        "--no-color",
    ]
    done = subprocess.run(command, cwd=flow.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-2000:]
    assert "error while answering" not in flow.log_text()
