"""An archive in a bucket of a real S3 server: the same files as in a folder, each once, whatever is killed, frozen, refused or full."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from app.archiving import bucket as bucket_module
from app.archiving.bucket import Bucket
from app.archiving.loading import load_dataset
from app.archiving.manifests import sha256_of
from app.archiving.storage import Folder, Storage
from app.domain.usage.records import UsageRecord, producer_of
from app.errors import StoreRefused, StoreUnreachable
from app.process.crash_points import ARCHIVE_POINTS
from tests import ROOT
from tests.archiving.world import World, record
from tests.live.proxy import CLEAR, Fault, Proxy
from tests.live.seaweed import Seaweed

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
ROUNDS = range(int(os.environ.get("FAULT_ROUNDS", "2")))
KINDS = ["csv", "parquet"]
MADE = [record("p", seq, f"u{seq % 7}") for seq in range(1, 200)] + [record("p", 200, kind="stop")]
ARCHIVING = """
import sys
from pathlib import Path
from tests.archiving.world import World
World(Path(sys.argv[1]), sys.argv[2]).archived(file_bytes=4_000, kind=sys.argv[3])
"""
ANSWER_500 = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with Seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


def client_of(server: Seaweed) -> Any:
    return botocore.session.get_session().create_client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server.port}",
        aws_access_key_id=server.ACCESS_KEY,
        aws_secret_access_key=server.SECRET_KEY,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )


@pytest.fixture
def address(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of an archive in a bucket of its own."""
    for name, value in seaweed.environment().items():
        monkeypatch.setenv(name, value)
    name = f"b{random.randrange(1 << 60):x}"
    client_of(seaweed).create_bucket(Bucket=name)
    return f"s3://{name}/usage"


@pytest.fixture
def world(tmp_path: Path, address: str) -> World:
    return World(tmp_path, address)


def started(*arguments: object, program: str = ARCHIVING, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stderr=subprocess.DEVNULL)


def asked(world: World, *arguments: str, code: int = 0) -> str:
    environment = os.environ | {"WEBLOGS_BROKER": world.address, "WEBLOGS_DATA_DIR": str(world.folder)}
    command = [sys.executable, "-m", "app", "usage", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + done.stderr


def files_of(storage: Storage) -> dict[str, str]:
    """One at a time: a bucket keeps few copies."""
    found = {}
    for name in storage.names(""):
        if name.rpartition("/")[2].startswith("usage-"):
            path = storage.local(name)
            assert path is not None
            found[name] = sha256_of(path)
    return found


def assert_archived_once(world: World, kind: str, made: list[UsageRecord] = MADE) -> None:
    """Every record is in one file, and the same messages make the same files in a folder."""
    found = world.records()
    assert len({(producer_of(one), one.seq) for one in found}) == len(found)
    assert sorted(found, key=lambda one: one.seq) == made
    assert world.check().exit_code == 0
    beside = World(world.folder)
    beside.archived(file_bytes=4_000, kind=kind)
    assert files_of(beside.storage) == files_of(world.storage) != {}
    assert [path for path in (world.folder / "usage-parts").iterdir() if path.suffix != ".part"] == []


def test_an_object_is_created_once_whoever_is_faster(address: str, tmp_path: Path, seaweed: Seaweed) -> None:
    bucket = World(tmp_path, address).storage
    assert bucket.create("a/one", b"first") and not bucket.create("a/one", b"second")
    assert bucket.contents(["a/one", "a/none"]) == [b"first", None] and bucket.local("a/none") is None
    writers = [World(tmp_path, address).storage for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        for number in range(30):
            tries = [(each, f"race/{number}", b"%d" % at) for at, each in enumerate(writers * 2)]
            won = list(threads.map(lambda one: one[0].create(one[1], one[2]), tries))
            assert won.count(True) == 1
            assert bucket.contents([f"race/{number}"]) == [b"%d" % won.index(True)]


def test_an_object_whose_checksum_is_another_is_refused_by_the_server(address: str, seaweed: Seaweed) -> None:
    name = address.split("/")[2]
    with pytest.raises(ClientError, match=r"BadDigest|XAmzContentChecksumMismatch|InvalidDigest|InvalidRequest"):
        client_of(seaweed).put_object(Bucket=name, Key="x", Body=b"abc", ChecksumSHA256="A" * 43 + "=")


def test_a_wrong_login_and_a_bucket_that_is_not_there_are_told_in_a_sentence(
    world: World, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(MADE)
    assert "archived up to" in asked(world, "archive", "--once", "--archive", address)
    told = asked(world, "archive", "--once", "--archive", "s3://no-such-bucket/usage", code=4)
    assert "NoSuchBucket" in told and "Traceback" not in told
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a wrong secret")
    told = asked(world, "archive", "--once", "--archive", address, code=4)
    assert "403 SignatureDoesNotMatch" in told and "a wrong secret" not in told and "Traceback" not in told
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in asked(
        world, "archive", "--once", "--archive", address, code=4
    )


def test_the_commands_archive_check_load_and_repair_in_a_bucket(world: World, address: str, tmp_path: Path) -> None:
    world.send(MADE, at_once=7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEBLOGS_USAGE_ARCHIVE", address)
        assert "archived up to" in asked(world, "archive", "--once", "--file-bytes", "4000")
        assert asked(world, "check").splitlines()[-1] == "no differences"
        assert "200 records of" in asked(world, "load", "--to", str(tmp_path / "dataset"), "--quiet")
        assert_archived_once(world, "csv")
        lost, altered = world.files[0], world.files[-1]
        client, name = world.storage._client, address.split("/")[2]  # type: ignore[attr-defined]  # of a Bucket
        client.delete_object(Bucket=name, Key=f"usage/{lost.file}")
        client.put_object(Bucket=name, Key=f"usage/{altered.file}", Body=b"something else")
        told = asked(world, "check", code=1)
        assert f"{lost.file} is gone; it held" in told and f"{altered.file} was altered: its SHA-256" in told
        assert f"{lost.rows + altered.rows} records repaired" in asked(world, "repair")
        assert asked(world, "check").splitlines()[-1] == "no differences"
        assert {name.rpartition(".")[2] for name in world.storage.names("repairs/")} == {"csv", "json"}
    assert load_dataset(world.storage, tmp_path / "again").records == 200


@pytest.mark.parametrize("number", ROUNDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", ARCHIVE_POINTS)
def test_an_archive_worker_killed_at_each_of_its_points(
    world: World, address: str, point: str, kind: str, number: int
) -> None:
    rng = random.Random(f"{point} {number}")
    world.send(MADE, at_once=rng.randint(3, 12))
    killed = started(world.folder, address, kind, WEBLOGS_CRASH_AT=f"{point}:{rng.randint(1, 4)}")
    assert killed.wait(120) == -signal.SIGKILL
    world.archived(file_bytes=4_000, kind=kind)
    assert_archived_once(world, kind)


@pytest.mark.parametrize("number", ROUNDS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_archive_workers_of_which_one_is_frozen(world: World, address: str, kind: str, number: int) -> None:
    rng = random.Random(number)
    world.send(MADE, at_once=5)
    frozen = started(world.folder, address, kind)
    end = time.monotonic() + 60
    wanted = rng.randint(1, 3)
    while sum(name.endswith(".done.json") for name in world.storage.names("manifests/")) < wanted:
        assert time.monotonic() < end
        time.sleep(0.002)
    frozen.send_signal(signal.SIGSTOP)
    try:
        assert started(world.folder, address, kind).wait(120) == 0
        complete = files_of(world.storage)
    finally:
        frozen.send_signal(signal.SIGCONT)
    assert frozen.wait(120) == 0
    assert files_of(world.storage) == complete
    assert_archived_once(world, kind)


FAULTS = {
    "answers 500": Fault(answer=ANSWER_500),
    "ends connections": Fault(reset_share=0.2),
}


@pytest.mark.parametrize("number", ROUNDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_answers_500_for_a_while_costs_nothing(
    tmp_path: Path, seaweed: Seaweed, address: str, fault: str, number: int
) -> None:
    """A worker that gives up ends with a sentence, and the next one goes on; an answer that is lost makes no second file."""
    with Proxy(seaweed.port) as proxy, pytest.MonkeyPatch.context() as patch:
        for name, value in seaweed.environment(proxy.port).items():
            patch.setenv(name, value)
        world, rng = World(tmp_path, address), random.Random(f"{fault} {number}")
        world.send(MADE, at_once=rng.randint(3, 12))
        worker = started(world.folder, address, "csv")
        end = time.monotonic() + 60
        while proxy.pieces < rng.randint(10, 60) and worker.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.002)
        proxy.fault = FAULTS[fault]
        time.sleep(rng.uniform(0.5, 4))
        if fault == "answers 500" and number == 0:
            told = asked(world, "archive", "--once", "--archive", address, code=4)
            assert "500" in told and "run this again, it goes on where it was" in told and "Traceback" not in told
        proxy.fault = CLEAR
        worker.wait(120)
        world.archived(file_bytes=4_000, kind="csv")
        assert_archived_once(world, "csv")


@pytest.mark.parametrize("number", ROUNDS)
def test_a_server_that_is_full_is_told_and_what_it_lacks_is_archived_when_it_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    made = [record("p", seq, f"u{seq % 7}", detail="x" * 20_000) for seq in range(1, 200 + number)]
    made.append(record("p", 200 + number, kind="stop"))
    with Seaweed(tmp_path / "seaweed", volumes=3, volume_mb=1) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        client = client_of(server)
        client.create_bucket(Bucket="full")
        with pytest.raises(ClientError):
            for each in range(200):
                client.put_object(Bucket="full", Key=f"other/{each}", Body=os.urandom(200_000))
        world = World(tmp_path, "s3://full/usage")
        world.send(made, at_once=10)
        with pytest.raises(StoreUnreachable, match=r"does not take s3://full/usage/.*: 5\d\d "):
            world.archived(file_bytes=100_000, kind="csv")
        server.stop()
        server.volumes = 1000
        server.start()
        world.archived(file_bytes=100_000, kind="csv")
        found = world.records()
        assert sorted(found, key=lambda one: one.seq) == made and world.check().exit_code == 0


def test_unfinished_uploads_below_the_archive_are_aborted_at_the_start_once_they_are_old(
    world: World, address: str, seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, name = client_of(seaweed), address.split("/")[2]

    def unfinished() -> list[str]:
        return sorted(each["Key"] for each in client.list_multipart_uploads(Bucket=name).get("Uploads", ()))

    for key in ("usage/2026-01-01/copied", "elsewhere/copied"):
        upload = client.create_multipart_upload(Bucket=name, Key=key)
        client.upload_part(Bucket=name, Key=key, UploadId=upload["UploadId"], PartNumber=1, Body=b"half")
    world.send(MADE)
    world.archived()
    assert unfinished() == ["elsewhere/copied", "usage/2026-01-01/copied"]  # somebody may be copying
    monkeypatch.setattr(bucket_module, "PART_AGE_S", 0.0)
    world.archived()
    assert unfinished() == ["elsewhere/copied"] and world.check().exit_code == 0


class Replacing(Bucket):
    """As a server that knows no If-None-Match: here the head is left out, and the server replaces."""

    def _put(self, name: str, digest: bytes, body: Any) -> bool:
        self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=body())
        return True


def test_a_server_that_replaces_objects_is_refused_before_anything_is_written(tmp_path: Path, address: str) -> None:
    name = address.split("/")[2]
    with pytest.raises(StoreRefused, match="replaces objects although If-None-Match forbids it"):
        Replacing(name, "usage", tmp_path / "parts").prepare()
    assert Folder(tmp_path).prepare() == 0
