"""Usage logs of Google Cloud Storage: comma-separated, all columns quoted, the names in the first line.

There are no ranges and no sizes, and what `sc_bytes` counts of a response that broke is not documented: it proves nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any

from app.domain.extras import duration_s, extras_reader
from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.clients import clients
from app.domain.formats.prefixes import behind_prefix
from app.domain.formats.times import epoch_time
from app.domain.formats.values import STATUSES, count, joined_request, not_as
from app.domain.records import HitFlag

__all__ = ["FORMAT"]

_NAMES = (
    "time_micros", "c_ip", "c_ip_type", "c_ip_region", "cs_method", "cs_uri", "sc_status", "cs_bytes", "sc_bytes",
    "time_taken_micros", "cs_host", "cs_referer", "cs_user_agent", "s_request_id", "cs_operation", "cs_bucket", "cs_object",
)  # fmt: skip
"""The documented order; columns may be added behind."""
_EXAMPLE = "\n".join(
    [
        ",".join(f'"{name}"' for name in _NAMES),
        '"1596213967123456","203.0.113.9","1","","GET","/films/1.mp4","200","0","579","12000","storage.googleapis.com","","curl/8.5.0","AB1","GET_Object","films","1.mp4"',
        '"1596213969310022","2001:db8::7","2","","GET","/films/2.mp4","206","0","290","9000","storage.googleapis.com","","curl/8.5.0","AB2","GET_Object","films","2.mp4"',
    ]
)
_ANNOUNCED = int(HitFlag.ANNOUNCED)


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    its_clients, extras_of = clients(options.trusted_proxies), extras_reader(options.fields)

    def parse(line: str) -> tuple[Any, ...] | None:
        if line.startswith('"time_micros","c_ip"'):
            return None
        if not line.startswith('"'):
            raise not_as("a usage log of Google Cloud Storage", line)
        try:
            columns = next(csv.reader([line], strict=True))
        except (csv.Error, StopIteration):
            raise not_as("a usage log of Google Cloud Storage", line) from None
        if len(columns) < len(_NAMES):
            raise BadLine("bad_columns", f"{len(columns)} columns, not {len(_NAMES)}")
        when, client, _, _, method_text, target, status, _, sent_text, taken, host, referer, agent, *_ = columns
        request, method = joined_request(method_text, target)
        sent = count(sent_text, "bytes sent")
        extras = extras_of(duration_s=duration_s(taken, 10**6), referer=referer or None, virtual_host=host or None)
        code = STATUSES[status]
        client_ip = its_clients.of[client]
        return (
            epoch_time(when),
            client_ip,
            agent or "-",
            request,
            method,
            code,
            None,
            None,
            sent,
            None,
            _ANNOUNCED,
            extras,
        )

    return behind_prefix(parse, options.heads)


FORMAT = Format(
    name="gcs",
    title="Usage log of Google Cloud Storage (CSV): it proves no download, for it has no ranges and no sizes.",
    example=_EXAMPLE,
    make_parser=make_parser,
    head_prefix='"time_micros"',
)
