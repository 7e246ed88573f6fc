"""The fields of hits, rejects and deliveries: what the stores, files, topics' readers and pages derive theirs from.

A new field is one here and one of the same name in `app.domain.records`; then it must be computed. A field that comes after the
first release has a `default`: what a record has in it that was stored before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from enum import Enum
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from app.domain.records import Delivery, Hit, Reject

__all__ = ["DELIVERY", "HIT", "KEY", "REJECT", "Field", "Kind", "Table"]


class Kind(Enum):
    """What values a field has; every store and file has one way to write each."""

    TEXT = "text"
    """Any text, lone surrogates and NUL among them."""
    INTEGER = "integer"
    """Of any size."""
    SMALL = "small integer"
    """Within 31 bits."""
    VERSION = "version"
    """0..2**63-1; stores may take fewer."""
    TIME = "time"
    """UTC seconds since 1970, a float."""
    BOOLEAN = "boolean"
    RANGES = "ranges"
    """[[first, last], …], integers of any size."""
    WORDS = "words"
    """A list of short words without commas."""
    SHORT_IDS = "short ids"
    """A list of 16 hex digits each."""
    RAW_ID = "raw id"
    """32 hex digits."""
    TEXTS = "texts by name"
    """A map of short texts by name."""


_NEEDED: Any = object()


class Field(NamedTuple):
    """One field of a record."""

    name: str
    kind: Kind
    what: str
    unit: str = ""
    optional: bool = False
    """It may be None."""
    default: Any = _NEEDED
    """What a record has that was stored before the field was there."""
    since: int = 1
    """The form of the record from which on it has the field."""
    label: str = ""
    """Its name in files and documents, where that is another one."""
    listed: bool = True
    """It is a column of tables for people."""
    former: str = ""
    """Its name in stores of before."""

    @property
    def column(self) -> str:
        """Its name in files and documents."""
        return self.label or self.name

    @property
    def needed(self) -> bool:
        """Every stored record has it."""
        return self.default is _NEEDED

    @property
    def absent(self) -> Any:
        """A value for a record that was stored without it: a new one, if it is a list or a map."""
        if self.needed:
            return None
        return copy(self.default)


class Table:
    """The fields of one record, in its order."""

    def __init__(self, record: type, *fields: Field) -> None:
        names: tuple[str, ...] = record._fields  # type: ignore[attr-defined]
        if tuple(field.name for field in fields) != names:
            raise TypeError(f"the fields of {record.__name__} are {', '.join(names)}, in this order")
        self.record = record
        self.fields = fields
        self.form = max(field.since for field in fields)
        """The number of the form of lists that have all fields; each smaller number is one that came before."""
        self.at = {name: at for at, name in enumerate(names)}
        """The index of each field: for code that takes records as plain tuples."""

    def __getitem__(self, name: str) -> Field:
        return self.fields[self.at[name]]

    def reader(self, form: int) -> Callable[[Sequence[Any]], Any]:
        """The function from a list that has the fields of that form to the record: what the form lacks gets its default."""
        # not _make, a function of Python: records are read by the thousand
        make: Callable[[Sequence[Any]], Any] = partial(tuple.__new__, self.record)
        later = tuple(field for field in self.fields if field.since > form)
        if not later:
            return make
        if later != self.fields[-len(later) :]:
            raise TypeError(
                f"fields of {self.record.__name__} that are new in form {form + 1} or later must be the last"
            )
        return lambda row: make((*row, *(field.absent for field in later)))

    def of_form(self, form: int) -> tuple[Field, ...]:
        """The fields that lists of that form have."""
        return tuple(field for field in self.fields if field.since <= form)

    def without(self, *names: str) -> tuple[Field, ...]:
        """All but these, in their order."""
        return tuple(field for field in self.fields if field.name not in names)

    def of(self, *kinds: Kind) -> tuple[int, ...]:
        """Indices of the fields of these kinds."""
        return tuple(at for at, field in enumerate(self.fields) if field.kind in kinds)

    def written_out(self, lines: Sequence[str], more: str = "", **known: Any) -> Callable[..., Any]:
        """The function of a record (and of `more`) with these lines, to which its fields are local names.

        Written out, because looping over the fields for each record was measured to take a fifth longer.
        """
        body = "".join(f"    {line}\n" for line in (f"{', '.join(self.at)} = _record", *lines))
        exec(f"def of_record(_record{more}):\n{body}", known)
        return known["of_record"]

    def picker(self, fields: tuple[Field, ...]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
        """The function from a record to the tuple of these fields."""
        return itemgetter(*(self.at[field.name] for field in fields))


KEY = ("ip_address", "user_agent", "request")
"""What names who asked for what."""

_REQUEST = (
    "as logged, without a trailing ` HTTP/…`, so that one client's HTTP/1 and HTTP/2 requests are one; "
    "a bare path stays one"
)
_SOURCE = "id of the source: fingerprint of the file, or the topic partition of a message without one"
_POSITION = "offset of the line in the decompressed file, or offset of the message and number of the line in one number"

HIT = Table(
    Hit,
    Field("time", Kind.TIME, "when the request was logged", "UTC seconds since 1970"),
    Field("ip_address", Kind.TEXT, "the client, or null if the log has no such column", optional=True),
    Field("user_agent", Kind.TEXT, "the client's name of itself, or null if the log has no such column", optional=True),
    Field("request", Kind.TEXT, _REQUEST, optional=True),
    Field("method", Kind.TEXT, "`GET` for a bare path; null if the request is broken or absent", optional=True),
    Field("status", Kind.SMALL, "100–599, or 0 for 000"),
    Field("lo", Kind.INTEGER, "first byte announced, or null if the line names no offsets", "byte", optional=True),
    Field("hi", Kind.INTEGER, "last byte announced, inclusive, or null", "byte", optional=True),
    Field("bytes_sent", Kind.INTEGER, "body bytes, or null; see `flags`", "bytes", optional=True),
    Field("total_bytes", Kind.INTEGER, "size of the whole file, or null", "bytes", optional=True),
    Field(
        "flags",
        Kind.SMALL,
        "sum of 1: `bytes_sent` counts response headers, too; 2: the server saw the response break off; 4: it saw it end as "
        "it should; 8: `bytes_sent` is the size of the answer, whatever was sent; 16: HTTP/2 or later; 32: a content "
        "encoding is named; 64: it is named and none; 128: several ranges in one response, or an HTML page in the place of a film or the like",
    ),
    Field(
        "extras",
        Kind.TEXTS,
        "the [optional fields](formats.md#optional-fields) of `WEBLOGS_FIELDS` that the line has, texts by name",
        default={},
    ),
    Field("raw_id", Kind.RAW_ID, "made from `source` and `position`, unless the shipper gave the line an id"),
    Field("source", Kind.TEXT, _SOURCE),
    Field("position", Kind.INTEGER, _POSITION),
    Field(
        "logged_request",
        Kind.TEXT,
        "the request as logged, if `WEBLOGS_QUERY` leaves parameters out of `request`; else null",
        optional=True,
        default=None,
        former="asked",
    ),
)

REJECT = Table(
    Reject,
    Field(
        "reason",
        Kind.TEXT,
        "`bad_columns`, `bad_range`, `bad_status`, `bad_time`, `too_long`; `refused_by_STORE` for a record that a store "
        "refuses for good; `foreign_message` and `damaged_state` for what [cannot be read](faults.md)",
    ),
    Field("detail", Kind.TEXT, "what was wrong with which value"),
    Field("line", Kind.TEXT, "the line, bytes that are no UTF-8 escaped, cut to a bounded length"),
    Field(
        "raw_id", Kind.RAW_ID, "as for a hit; of a refused hit another one, made from the hit's and the store's name"
    ),
    Field("source", Kind.TEXT, _SOURCE),
    Field("position", Kind.INTEGER, _POSITION),
    Field("time", Kind.TIME, "when it arrived", "UTC seconds since 1970"),
)

DELIVERY = Table(
    Delivery,
    Field("ip_address", Kind.TEXT, "the client"),
    Field("user_agent", Kind.TEXT, "the client's name of itself"),
    Field("request", Kind.TEXT, _REQUEST),
    Field("window_start", Kind.TIME, "with the key, the name of the delivery", "UTC seconds since 1970"),
    Field("first", Kind.TIME, "time of the earliest hit", "UTC seconds since 1970"),
    Field("last", Kind.TIME, "time of the latest hit", "UTC seconds since 1970"),
    Field(
        "ranges",
        Kind.RANGES,
        "bytes that arrived: sorted, disjoint, touching ones joined",
        "bytes, inclusive",
        label="byte_ranges",
    ),
    Field(
        "missing",
        Kind.RANGES,
        "bytes of the file that did not arrive; if the size is not known, those before and between the ranges",
        "bytes, inclusive",
    ),
    Field("covered_bytes", Kind.INTEGER, "how many bytes the ranges hold", "bytes"),
    Field("total_bytes", Kind.INTEGER, "size of the file, or null", "bytes", optional=True),
    Field("size_known", Kind.BOOLEAN, "whether the size of the file is known"),
    Field("verdict", Kind.TEXT, "`complete`, `partial`, `unknown`"),
    Field(
        "evidence",
        Kind.TEXT,
        "what the verdict rests on: `ranges`; `resumed`, ranges with bytes that were sent before a connection broke; `learned`, a size that other "
        "lines of the log tell; `bytes`, how many bytes were sent",
    ),
    Field(
        "reason",
        Kind.TEXT,
        "why it is not complete; see [how deliveries are judged](../explanation/deliveries.md)",
        optional=True,
    ),
    Field("hits", Kind.INTEGER, "distinct hits merged in; a lower bound if the reason is `fragmented`"),
    Field("bytes_sent", Kind.INTEGER, "sum over the distinct hits, or null if none names it", "bytes", optional=True),
    Field(
        "flags",
        Kind.WORDS,
        "`beyond_size`: a range beyond the size was clipped; `cut_off`: a response was cut; `fragmented`: too many hits to "
        "keep; `headers_counted`: byte counts include headers",
    ),
    Field(
        "hit_ids",
        Kind.SHORT_IDS,
        "the smallest 100 short ids of its hits: their raw ids begin with them",
        listed=False,
    ),
    Field("final", Kind.BOOLEAN, "it was evicted: nothing more is expected", listed=False),
    Field("version", Kind.VERSION, "grows with what is known; a store refuses an older one", listed=False),
    Field(
        "superseded_by",
        Kind.TIME,
        "window start of the delivery that took this one in; every read hides such a record",
        "UTC seconds since 1970",
        optional=True,
        listed=False,
    ),
    Field(
        "doubtful",
        Kind.RANGES,
        "bytes that may have arrived: the last ones that a broken response sent, or those of which the log does not say that "
        "they were sent",
        "bytes, inclusive",
        default=[],
        since=2,
    ),
)
