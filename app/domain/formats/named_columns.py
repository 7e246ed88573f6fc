"""Lines whose columns have names in the W3C manner (`cs-method`, `sc-bytes`, …): CloudFront, IIS and others.

Bytes sent (`sc-bytes`) count the response headers, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any
from urllib.parse import unquote

from app.domain.cmcd import CMCD, CMCD_PREFIX, read_cmcd
from app.domain.extras import NO_EXTRAS, duration_s, extras_reader
from app.domain.formats.clients import Clients, addresses_of
from app.domain.formats.endings import WIN32_BROKEN, is_broken_result
from app.domain.formats.remembered import Remembered
from app.domain.formats.times import ISO_MINUTES, ISO_SECONDS, epoch_time
from app.domain.formats.unnamed import are_unnamed, said_elsewhere
from app.domain.formats.values import (
    CONTENT_TYPES,
    ENCODINGS,
    PROTOCOLS,
    STATUSES,
    content_range,
    count,
    ends,
    joined_request,
)
from app.domain.proof import is_page_instead
from app.domain.records import HitFlag

__all__ = ["ColumnReader"]

_HEADERS_COUNTED, _ANNOUNCED = int(HitFlag.HEADERS_COUNTED), int(HitFlag.ANNOUNCED)
_ABORTED, _ENCODED, _PLACELESS = int(HitFlag.ABORTED), int(HitFlag.ENCODED), int(HitFlag.PLACELESS)
_CMCD_HEADERS = ("object", "request", "session", "status")
_FIRST_OF = {
    "date": ("date",),
    "time": ("time",),
    "timestamp": ("timestamp", "timestamp(ms)"),
    "ip_address": ("c-ip", "cs-ip"),
    "user_agent": ("cs(user-agent)", "cs-user-agent", "c-user-agent"),
    "method": ("cs-method",),
    "target": ("cs-uri-stem", "cs-uri"),
    "query": ("cs-uri-query",),
    "status": ("sc-status", "status", "x-status"),
    "sent": ("sc-bytes", "bytes"),
    "length": ("sc-content-len", "x-content-length", "sc(content-length)", "sc-content-length", "content-length"),
    "first": ("sc-range-start",),
    "last": ("sc-range-end",),
    "content_range": ("x-content-range", "sc(content-range)", "sc-content-range", "content-range"),
    "result": ("x-edge-result-type",),
    "response_result": ("x-edge-response-result-type",),
    "detailed_result": ("x-edge-detailed-result-type",),
    "win32": ("sc-win32-status",),
    "protocol": ("cs-protocol-version", "cs-version"),
    "content_type": ("sc-content-type", "x-content-type", "sc(content-type)", "content-type"),
    "forwarded": (
        "x-forwarded-for", "cs(x-forwarded-for)", "originalip", "x-original-ip", "x-real-ip", "true-client-ip", "cf-connecting-ip",
    ),
    "referer": ("cs(referer)", "cs-referer", "c-referrer"),
    "virtual_host": ("x-host-header", "cs-host", "cs(host)"),
    "duration": ("time-taken",),
    "edge": ("x-edge-location",),
    "encoding": ("sc(content-encoding)", "sc-content-encoding", "x-content-encoding", "content-encoding"),
    "cmcd": ("cs-cmcd", "cmcd"),
    **{f"cmcd_{header}": (f"cs(cmcd-{header})",) for header in _CMCD_HEADERS},
    **{f"{CMCD_PREFIX}{key}": (f"cmcd-{about.column}",) for key, about in CMCD.items()},
}  # fmt: skip
"""What is read, and the names of columns that hold it, in order of preference."""
_OF_EACH_LINE = (
    "date", "time", "ip_address", "forwarded", "user_agent", "query", "target", "method", "status", "length", "sent", "protocol",
    "content_type", "encoding", "first", "last",
)  # fmt: skip
_STATUSES = Remembered(lambda text: STATUSES[text.rpartition("/")[2]])
"""Some write what the cache did before the status: TCP_HIT/200."""
_OF_ENDINGS = ("detailed_result", "win32", "result", "response_result")


class ColumnReader:
    """Reads hits from the columns of lines, given the columns' names.

    `its_clients` makes the client of its column's text, `agents` the user agent; `query_in_target`: the target has its query already.
    A column that the log does not have reads as `-`; without a status column the status is 200.
    """

    def __init__(
        self,
        names: Sequence[str],
        its_clients: Clients,
        agents: Mapping[str, str],
        query_in_target: bool = False,
        plain: Callable[[str], str] = str,
        fields: str = "",
    ) -> None:
        at = {name.lower(): index for index, name in reversed(list(enumerate(names)))}
        self._at = {part: next((at[name] for name in choices if name in at), -1) for part, choices in _FIRST_OF.items()}
        if query_in_target:
            self._at["query"] = -1
        # what `bytes` counts, and Akamai's bytes, whose client is cs-ip, is not documented
        is_told = "sc-bytes" in at and "cs-ip" not in at
        self._counts = _HEADERS_COUNTED if is_told else _ANNOUNCED
        # `-` where the bytes should be: a range beside it proves nothing
        self._without_bytes = _ANNOUNCED if self._at["sent"] >= 0 else 0
        self._has_client, self._has_agent, self._has_method, self._has_status = (
            self._at[part] >= 0 for part in ("ip_address", "user_agent", "method", "status")
        )
        # looked up by name for each line, they would cost a tenth of all
        self._of_each_line = itemgetter(*(self._at[part] for part in _OF_EACH_LINE))
        self._of_endings = itemgetter(*(self._at[part] for part in _OF_ENDINGS))
        self._has_timestamp, self._has_date, self._has_content_range = (
            self._at[part] >= 0 for part in ("timestamp", "date", "content_range")
        )
        self._clients = its_clients
        self._client_of = (
            its_clients.of if plain is str else Remembered(lambda text: its_clients.of[plain(text)], longest=256)
        )
        self._agents = agents
        self._plain = plain
        self._extras_of = extras_reader(fields) if fields else None
        known = {self._at[part] for part in self._at}
        self._unnamed = {name: index for name, index in at.items() if index not in known and are_unnamed((name,))}
        self._any_result = any(self._at[part] >= 0 for part in _OF_ENDINGS)
        self._cmcd_at = [part for part in self._at if part.startswith("cmcd") and self._at[part] >= 0]
        self.date = ""
        """The date of lines that have a time only, `2020-07-31`; from a `#Date` directive."""

    @property
    def has_time(self) -> bool:
        return self._has_timestamp or self._at["time"] >= 0

    def hit(self, columns: list[str]) -> tuple[Any, ...]:
        """The hit of one line's columns, which get a `-` appended. Raises BadLine."""
        columns.append("-")
        (
            date, clock, client, forwarded, agent, query, target, method_text, status_text, length, sent_text, protocol,
            content_type, encoding, first, last,
        ) = self._of_each_line(columns)  # fmt: skip
        if self._has_timestamp:
            time = epoch_time(columns[self._at["timestamp"]])
        else:
            time = ISO_MINUTES[f"{date if self._has_date else self.date} {clock[:5]}"] + ISO_SECONDS[clock[5:]]
        ip_address = self._client_of[client] if self._has_client else None
        if forwarded != "-" and (listed := addresses_of(self._plain(forwarded).replace("%20", " "), ports=True)):
            ip_address = self._clients.behind(ip_address, listed)
        user_agent = self._agents[agent] if self._has_agent else None
        if user_agent is None and ip_address is not None:
            user_agent = "-"
        if query not in ("-", ""):
            target = f"{target}?{query}"
        request, method = joined_request(method_text, target)
        if not self._has_method and target.startswith("/"):
            method = "GET"
        status = _STATUSES[status_text] if self._has_status else 200
        lo = hi = total = None
        if self._has_content_range:
            lo, hi, total = content_range(self._plain(columns[self._at["content_range"]]))
        elif first != "-" and last != "-":
            lo, hi = ends(first.strip("-"), last.strip("-"))
        if total is None and status == 200 and method in ("GET", None):
            # on 206 it is the length of the part, and a HEAD was sent nothing of it
            total = count(length, "the length of the answer")
        sent = count(sent_text, "sc-bytes")
        flags = self._without_bytes if sent is None else self._counts
        if protocol != "-":
            flags |= PROTOCOLS[protocol]
        if encoding != "-":
            flags |= ENCODINGS[encoding]
            total = None if flags & _ENCODED and lo is None else total
        if content_type != "-":
            flags |= CONTENT_TYPES[content_type]
            if status in (200, 206) and is_page_instead(request, content_type):
                flags, lo, hi, total = flags | _PLACELESS, None, None, None
        if self._any_result and self._aborted(columns, status):
            flags |= _ABORTED
        if self._unnamed:
            flags |= self._said_elsewhere(columns, sent, total if lo is None or hi is None else hi - lo + 1)
        extras = NO_EXTRAS if self._extras_of is None else self._extras(self._extras_of, columns)
        return time, ip_address, user_agent, request, method, status, lo, hi, sent, total, flags, extras

    def _said_elsewhere(self, columns: list[str], sent: int | None, announced: int | None) -> int:
        """Flags of columns whose names are not known: they make nothing whole, but keep a range from being called whole."""
        broke, counted = said_elsewhere({name: columns[index] for name, index in self._unnamed.items()})
        is_less = sent is None and counted is not None and announced is not None and counted < announced
        return (_ABORTED if broke else 0) | (_ANNOUNCED if is_less else 0)

    def _extras(self, of: Callable[..., dict[str, str]], columns: list[str]) -> dict[str, str]:
        at = self._at
        duration = columns[at["duration"]]
        return of(
            **self._cmcd(columns),
            cache_result=columns[at["result"]],
            content_type=self._plain(columns[at["content_type"]]),
            # CloudFront counts seconds and writes thousandths, IIS whole milliseconds
            duration_s=duration_s(duration, 1 if "." in duration else 1000),
            edge=columns[at["edge"]],
            encoding=columns[at["encoding"]],
            referer=columns[at["referer"]],
            virtual_host=columns[at["virtual_host"]],
        )

    def _cmcd(self, columns: list[str]) -> dict[str, str]:
        """From columns of headers, and from columns of one key each, whose texts may stand without quotes."""
        at, found = self._at, {}
        for name in self._cmcd_at:
            text = unquote(columns[at[name]])
            if name.removeprefix(CMCD_PREFIX) not in CMCD:
                found.update(read_cmcd(text))
            elif text != "-":
                key = name.removeprefix(CMCD_PREFIX)
                found.update(read_cmcd(f"{key}={text}") or read_cmcd(f'{key}="{text}"'))
        return found

    def _aborted(self, columns: list[str], status: int) -> bool:
        """CloudFront: the result turned into an error after the response had begun, or its detail says who hung up."""
        detail, win32, result, response_result = self._of_endings(columns)
        if win32 in WIN32_BROKEN or (status in (0, 200, 206) and is_broken_result(detail)):
            return True
        return result == "Error" and (status in (200, 206) or response_result not in ("Error", "-"))
