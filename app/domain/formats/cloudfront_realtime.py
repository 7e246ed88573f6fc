"""CloudFront real-time logs: tab-separated, no heads; a setting lists the columns that the distribution sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.clients import clients
from app.domain.formats.cloudfront import columns_of
from app.domain.formats.named_columns import ColumnReader
from app.domain.formats.values import AGENTS

__all__ = ["FIELDS", "FORMAT"]

FIELDS = [
    "timestamp", "c-ip", "time-to-first-byte", "sc-status", "sc-bytes", "cs-method", "cs-protocol", "cs-host",
    "cs-uri-stem", "cs-bytes", "x-edge-location", "x-edge-request-id", "x-host-header", "time-taken",
    "cs-protocol-version", "c-ip-version", "cs-user-agent", "cs-referer", "cs-cookie", "cs-uri-query",
    "x-edge-response-result-type", "x-forwarded-for", "ssl-protocol", "ssl-cipher", "x-edge-result-type",
    "fle-encrypted-fields", "fle-status", "sc-content-type", "sc-content-len", "sc-range-start", "sc-range-end",
    "c-port", "x-edge-detailed-result-type", "c-country", "cs-accept-encoding", "cs-accept",
    "cache-behavior-path-pattern", "cs-headers", "cs-header-names", "cs-headers-count",
]  # fmt: skip
"""The documented order, which every real-time configuration keeps; later additions stand behind these."""

_EXAMPLE = (
    "{time}\t203.0.113.9\t0.002\t206\t{sent}\tGET\thttps\texample.com\t/films/1.mp4?v=2\t39\tFRA2\t{id}\td1.cloudfront.net\t0.003\tHTTP/2.0"
    "\tIPv4\tMozilla/5.0%20(X11)\t-\t-\tv=2\tHit\t-\tTLSv1.3\tTLS_AES_128_GCM_SHA256\tHit\t-\t-\tvideo/mp4\t{part}\t{range}\t11040"
    "\tHit\tDE\tgzip\t*/*\t*\thost:example.com\thost\t1"
)


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    """Raises ValueError where the setting names no time."""
    chosen = [name.strip() for name in options.realtime_fields.replace(",", " ").split()]
    names = chosen or FIELDS
    reader = ColumnReader(names, clients(options.trusted_proxies), AGENTS, query_in_target=True, fields=options.fields)
    if not reader.has_time:
        raise ValueError(f"the columns of cloudfront_realtime name no timestamp: {options.realtime_fields!r}")
    width = len(names)

    def parse(line: str) -> tuple[Any, ...]:
        if chosen:
            return reader.hit(columns_of(line, width))
        columns = line.split("\t")
        if len(columns) < width:
            raise BadLine("bad_columns", f"{len(columns) if line else 0} columns, not {width} or more")
        return reader.hit(columns[:width])

    return parse


FORMAT = Format(
    name="cloudfront_realtime",
    title="Amazon CloudFront real-time log; WEBLOGS_REALTIME_FIELDS lists its columns, all documented ones by default.",
    example="\n".join(
        (
            _EXAMPLE.format(time="1596213967.059", sent=732, id="r1==", part=290, range="0\t289"),
            _EXAMPLE.format(time="1596213969.310", sent=731, id="r2==", part=289, range="290\t578"),
        )
    ),
    make_parser=make_parser,
)
