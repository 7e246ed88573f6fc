"""`GET /usage/spool` of a producer's process: the check and the repair read it as they read the folder."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.archiving.spools import spools_at
from app.errors import InputError, LogUnreachable, SettingsError, UnknownForm
from app.usage.log import UsageLog
from app.usage.options import UsageOptions
from app.usage.serving import SpoolServer, lines_of, read_lines
from tests.archiving.world import TOKEN, World, record
from tests.ports import free_port


def served(spool: Path, port: int) -> UsageLog:
    """A producer without a broker, whose process answers."""
    log = UsageLog(UsageOptions(service="shop", spool=spool, machine="m1", spool_port=port, spool_token=TOKEN))
    for number in range(20):
        log.record("request", user_id=f"u{number % 3}")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.02)
    return log


@pytest.fixture
def producer(tmp_path: Path) -> Iterator[tuple[UsageLog, str]]:
    port = free_port()
    log = served(tmp_path / "spool", port)
    yield log, f"http://127.0.0.1:{port}/usage/spool"
    assert log.stop()


def get(address: str, **headers: str) -> tuple[int, bytes]:
    _, _, place, path = address.split("/", 3)
    connection = http.client.HTTPConnection(place, timeout=30)
    connection.request("GET", f"/{path}", headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_the_archive_is_repaired_from_what_the_process_of_a_producer_answers(
    tmp_path: Path, producer: tuple[UsageLog, str]
) -> None:
    address = producer[1]
    world = World(tmp_path)
    world.send([record("p", 1, kind="stop")])
    world.archived()
    end = time.monotonic() + 30
    while sum(1 for _ in records_at(address)) < 21:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert world.check(address).exit_code == 2  # on the way: nothing of it was sent
    (folder,) = (tmp_path / "spool").iterdir()
    (folder / "sent").write_text(json.dumps([1, 1, 1 << 30]))
    assert any(line.endswith(" missing 1-21") and line.startswith("archive: ") for line in world.lines(address))
    before = {path: path.read_bytes() for path in world.archive.rglob("*.parquet")}
    count, report = world.repair(address)
    assert count == 21 and not any(held.missing for state in report.states for held in state.held[:1])
    assert {path: path.read_bytes() for path in before} == before
    assert len(list(world.archive.rglob("*.parquet"))) == len(before) + 1


def records_at(*places: str) -> list[object]:
    return [found for _, records in spools_at(places, TOKEN) for found in records]


def test_an_answer_holds_what_the_folder_holds(tmp_path: Path, producer: tuple[UsageLog, str]) -> None:
    log, address = producer
    assert log.record("request", user_id="über \ud800") == 22
    status, _ = get(address, Authorization=f"Bearer {TOKEN}")
    assert status == 200
    there = [(head.producer, list(records)) for head, records in read_lines(lines_of(tmp_path / "spool"), "a")]
    assert [(head.producer, list(records)) for head, records in spools_at([tmp_path / "spool"])] == there
    assert len(there) == 1 and there[0][0] is not None


@pytest.mark.parametrize("head", [{}, {"Authorization": "Bearer a wrong token here"}, {"Authorization": TOKEN}])
def test_nothing_is_shown_without_the_token(producer: tuple[UsageLog, str], head: dict[str, str]) -> None:
    status, body = get(producer[1], **head)
    assert status == 401 and b"start_id" not in body and b"shop" not in body


def test_no_other_path_is_answered_and_a_wrong_token_is_said(producer: tuple[UsageLog, str]) -> None:
    assert get(f"{producer[1]}/../../etc", Authorization=f"Bearer {TOKEN}")[0] == 404
    with pytest.raises(InputError, match="answers 401: set WEBLOGS_USAGE_SPOOL_TOKEN"):
        list(spools_at([producer[1]], "not this one"))


def test_the_server_listens_on_loopback_and_ends_with_the_log(tmp_path: Path) -> None:
    port = free_port()
    log = served(tmp_path / "spool", port)
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()]
    assert f"0100007F:{port:04X}" in listening and f"00000000:{port:04X}" not in listening
    assert log.stop()
    with pytest.raises(LogUnreachable, match="does not answer"):
        list(spools_at([f"http://127.0.0.1:{port}/usage/spool"], TOKEN))


class _Opening(SpoolServer):
    """Its thread is held between opening the server and serving, until the stop has begun."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "_server" and value is not None:
            self._ends.wait(30)
            time.sleep(0.2)


def test_a_stop_while_the_server_opens_ends(tmp_path: Path) -> None:
    server = _Opening(UsageOptions(service="shop", spool=tmp_path, spool_port=free_port(), spool_token=TOKEN))
    end = time.monotonic() + 30
    while server.port is None and time.monotonic() < end:
        time.sleep(0.01)
    stopping = threading.Thread(target=server.stop, daemon=True)
    stopping.start()
    stopping.join(20)
    assert server.port is not None and not stopping.is_alive()


def test_a_child_of_a_fork_does_not_hold_the_port(tmp_path: Path) -> None:
    port = free_port()
    log = served(tmp_path / "spool", port)
    inside, outside = socket.socketpair()
    child = os.fork()
    if child == 0:  # it says that it is there, and holds on until the parent has ended its log
        outside.close()
        inside.send(b"1")
        inside.recv(1)
        os._exit(0)
    inside.close()
    outside.recv(1)
    try:
        assert log.stop()
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))
            again.listen()
    finally:
        outside.close()
        os.waitpid(child, 0)


def test_an_answer_that_was_cut_off_or_is_none_is_refused(tmp_path: Path) -> None:
    log = UsageLog(UsageOptions(service="shop", spool=tmp_path, machine="m1"))
    log.record("request", user_id="u")
    assert log.stop()
    lines = list(lines_of(tmp_path))

    def read(some: list[bytes]) -> None:
        for _, records in read_lines(some, "http://h"):
            list(records)

    read(lines)
    for count in range(len(lines)):
        with pytest.raises(InputError, match="was cut off"):
            read(lines[:count])
    for other in ([b"<html>\n"], [b"1\n"], [lines[0], b"[1]\n"], [b'{"form":1,"other":2}\n']):
        with pytest.raises(InputError, match="answers with what is no spool"):
            read(other)
    with pytest.raises(UnknownForm):
        read([lines[0].replace(b'"form":1', b'"form":9'), *lines[1:]])


def test_a_port_without_a_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="spool_token"):
        UsageOptions(service="shop", spool=tmp_path, spool_port=9999)


def test_five_clients_at_a_time_get_whole_answers_or_are_told_to_try_again(
    producer: tuple[UsageLog, str],
) -> None:
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(get(producer[1], Authorization=f"Bearer {TOKEN}")[0]))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 503} and 200 in statuses


def test_clients_that_say_nothing_take_a_bounded_number_of_threads_of_the_service(
    producer: tuple[UsageLog, str],
) -> None:
    address = producer[1]
    port = int(address.split(":")[2].split("/")[0])
    before = threading.active_count()
    silent = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(100)]
    for client in silent[-20:]:
        assert client.recv(1) == b""  # closed at once
    assert threading.active_count() - before <= 32
    for client in silent:
        client.close()
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if get(address, Authorization=f"Bearer {TOKEN}")[0] == 200:
                break
        assert time.monotonic() < end
        time.sleep(0.05)
