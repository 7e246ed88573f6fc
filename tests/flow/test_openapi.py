"""The worker answers as `/openapi.json` says, whatever it is asked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.web.service.openapi import document
from tests.flow.running import ROOT, Flow
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
        shown = re.sub(r"\{\w+\}", lambda match: {"{candidate_id}": "ID", "{user_id}": "USER"}[match[0]], path)
        assert shown in reference, f"{shown} is not in docs/reference/http.md"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_no_request_gets_an_answer_outside_the_description(flow: Flow) -> None:
    assert post(flow.url(), "/votes/", [{"candidate_id": 1 + i % 3} for i in range(30)])[0] == 200
    assert post(flow.url(), "/spending/", [{"user_id": f"u{i % 3}", "cents": 100 + i} for i in range(30)])[0] == 200
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{flow.url()}openapi.json",
        "--url",
        flow.url().rstrip("/"),
    ]
    command += [
        "--request-timeout",
        "60",
        "--checks",
        CHECKS,
        "--max-examples",
        "25",
        "--seed",
        "1",
        "--header",
        "Authorization: Bearer secret",
        "--no-color",
    ]
    done = subprocess.run(command, cwd=flow.folder, capture_output=True, text=True, timeout=550, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "error while answering" not in flow.log_text()
