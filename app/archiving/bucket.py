"""An archive in a bucket of an S3 server: objects that the server itself refuses to replace.

An object is one PUT with If-None-Match and its SHA-256, never a multipart upload: a worker that is killed leaves nothing behind. The variables,
files and roles of AWS's own tools say who we are and where the server is (AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID …).
"""

from __future__ import annotations

import base64
import hashlib
import logging
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from app.archiving.storage import PART_AGE_S, remove_parts, temporary
from app.errors import StoreError, StoreRefused, StoreUnreachable, keep_secret

__all__ = ["Bucket"]

log = logging.getLogger("app.archiving.bucket")

_TRIES = 6
_CONNECT_S, _READ_S = 10, 120
_PAUSE_S = 0.2
_AT_ONCE = 16
"""Small objects that are read side by side: a server far away answers each after some 20 ms."""
_LOCAL = 4
_PIECE_BYTES = 1 << 20
_PROBE = "created-once"
_TAKEN, _CONFLICT, _GONE = "PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"


class Bucket:
    """Objects below a prefix. Threads may share it."""

    largest_bytes = 5e9
    """What one PUT takes."""

    def __init__(self, bucket: str, prefix: str, parts: Path) -> None:
        """`parts`: folder of this machine for files that are being written or read."""
        self._bucket, self._prefix, self._parts = bucket, f"{prefix}/" if prefix else "", parts
        config = Config(
            retries={"mode": "standard", "total_max_attempts": _TRIES},
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            max_pool_connections=_AT_ONCE,
            s3={"addressing_style": "path"},  # bucket.localhost is no name
        )
        session = botocore.session.get_session()
        if credentials := session.get_credentials():
            keep_secret([credentials.get_frozen_credentials().secret_key])
        self._client = session.create_client("s3", config=config)
        self._read: deque[Path] = deque()
        weakref.finalize(self, _delete, self._read)

    def __str__(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def prepare(self) -> int:
        if self.create(_PROBE, b"by the first worker") and self.create(_PROBE, b"by another one"):
            raise StoreRefused(
                f"{self._client.meta.endpoint_url} replaces objects although If-None-Match forbids it: workers could lose files of"
                " one another there; archive to a folder, or to another server"
            )
        removed = remove_parts(self._parts)
        try:
            return removed + self._abort_uploads()
        except StoreRefused as error:  # nothing of ours is lost by that
            log.warning("%s; uploads that others left unfinished stay", error)
            return removed

    def _abort_uploads(self) -> int:
        """Of tools that copied something to here and were killed."""
        begun_before = datetime.now(UTC) - timedelta(seconds=PART_AGE_S)
        count = 0
        with self._asking(f"list unfinished uploads in {self}"):
            pages = self._client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for upload in page.get("Uploads", ()):
                    if upload["Initiated"] < begun_before:
                        with suppress(self._client.exceptions.NoSuchUpload):  # another worker was faster
                            self._client.abort_multipart_upload(
                                Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                            )
                            count += 1
        return count

    def names(self, prefix: str, after: str = "") -> list[str]:
        begin = {"StartAfter": self._prefix + after} if after else {}
        found: list[str] = []
        with self._asking(f"list {self.place(prefix)}"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix, **begin):
                found += (each["Key"].removeprefix(self._prefix) for each in page.get("Contents", ()))
        return sorted(name for name in found if not name.endswith("/"))

    def contents(self, names: Sequence[str]) -> list[bytes | None]:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(self._content, names))

    def _content(self, name: str) -> bytes | None:
        pieces = self._pieces(name)
        return None if pieces is None else b"".join(pieces)

    def create(self, name: str, content: bytes) -> bool:
        return self._put(name, hashlib.sha256(content).digest(), lambda: content)

    def scratch(self, name: str) -> Path:
        return temporary(self._parts / name.replace("/", "-"))

    def put(self, name: str, written: Path) -> bool:
        with written.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()

            def begin() -> Any:
                file.seek(0)
                return file

            return self._put(name, digest, begin)

    def _put(self, name: str, digest: bytes, body: Callable[[], Any]) -> bool:
        """After an answer that was lost the object may be there by our own first try: then it is no new one, and the caller looks."""
        for _ in range(_TRIES):
            with self._asking(f"take {self.place(name)}"):
                try:
                    told = self._client.put_object(
                        Bucket=self._bucket,
                        Key=self._prefix + name,
                        Body=body(),
                        IfNoneMatch="*",
                        ChecksumSHA256=base64.b64encode(digest).decode(),
                    )
                except ClientError as error:
                    if _code(error) == _TAKEN:
                        return False
                    if _code(error) != _CONFLICT:
                        raise
                    time.sleep(_PAUSE_S)
                    continue
            self._compare(name, digest, told)
            return True
        raise StoreUnreachable(f"others write {self.place(name)} again and again; run this again")

    def _compare(self, name: str, digest: bytes, told: dict[str, Any]) -> None:
        """A server that does not say which checksum it has is asked for the object."""
        if told.get("ChecksumSHA256") == base64.b64encode(digest).decode():
            return
        there = hashlib.sha256()
        for piece in self._pieces(name) or ():
            there.update(piece)
        if there.digest() != digest:
            raise StoreError(
                f"{self.place(name)} came to the server with another content: delete it, then run this again"
            )

    def local(self, name: str) -> Path | None:
        pieces = self._pieces(name)
        if pieces is None:
            return None
        while len(self._read) >= _LOCAL:  # who reads one has opened it
            self._read.popleft().unlink(missing_ok=True)
        path = self.scratch(name)
        self._read.append(path)
        with path.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        return path

    def _pieces(self, name: str) -> Iterator[bytes] | None:
        """None: there is no such object."""
        with self._asking(f"give {self.place(name)}"):
            try:
                body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"]
            except ClientError as error:
                if _code(error) == _GONE:
                    return None
                raise

        def pieces() -> Iterator[bytes]:
            with self._asking(f"give {self.place(name)}"), body:
                yield from body.iter_chunks(_PIECE_BYTES)

        return pieces()

    def place(self, name: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{name}"

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Errors as sentences."""
        server = self._client.meta.endpoint_url
        try:
            yield
        except NoCredentialsError:
            raise StoreRefused(
                f"there is no login for {server}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from None
        except ClientError as error:
            status, told = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]
            said = f"{server} does not {what}: {status} {told.get('Code', '')}, {told.get('Message', '')}"
            if (status >= 500 and status != HTTPStatus.NOT_IMPLEMENTED) or status == HTTPStatus.TOO_MANY_REQUESTS:
                raise StoreUnreachable(f"{said}; run this again, it goes on where it was") from error
            raise StoreRefused(said) from error
        except BotoCoreError as error:
            raise StoreUnreachable(
                f"{server} does not {what}: {error}; run this again, it goes on where it was"
            ) from error


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _code(error: ClientError) -> str:
    return str(error.response["Error"].get("Code"))
