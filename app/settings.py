"""Every setting: name, default, unit, one sentence. The only reader of the environment.

A setting `web_port` is read from `WEBLOGS_WEB_PORT`, from the environment first, then from the file `.env` in the
working directory. `python -m app settings` prints them all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints
from urllib.parse import quote, urlsplit

import msgspec

from app.domain import formats
from app.domain.extras import EXTRAS, chosen_extras
from app.domain.formats.base import AUTO
from app.domain.formats.clients import clients
from app.domain.proof import IN_FLIGHT_BYTES, Proof
from app.domain.requests import query_rule
from app.domain.windows import Rules
from app.errors import MASK, SettingsError, UnreadableFile, keep_secret, masked

__all__ = [
    "BUCKET_ADDRESS",
    "BUCKET_FORM",
    "LARGEST_NUMBER",
    "PREFIX",
    "FileKind",
    "SettingRow",
    "Settings",
    "child_environment",
    "load",
    "read_toml",
    "rows",
    "settings",
]

PREFIX = "WEBLOGS_"
BUCKET_ADDRESS = r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[^/]+)*)/?"
BUCKET_FORM = "s3://BUCKET or s3://BUCKET/PREFIX, where BUCKET has 3 to 63 small letters, digits, dots and dashes"
"""Its groups: the bucket, and the prefix with a slash before it."""
LARGEST_NUMBER = 1 << 53
"""Beyond it clocks, sockets and servers overflow."""


def _says(
    meaning: str,
    unit: str = "",
    *,
    secret: bool = False,
    addresses: tuple[str, ...] = (),
    form: str = "",
    **bounds: Any,
) -> msgspec.Meta:
    """What a setting means. The value of a secret one is never printed; passwords in addresses are hidden in any.

    `addresses`: the schemes of the addresses, separated by commas, that it may hold. `form`: what a `pattern` lets through, in words.
    """
    extra = {"unit": unit, "secret": secret, "addresses": addresses, "form": form}
    return msgspec.Meta(description=meaning, extra=extra, **bounds)


Window = Literal["last_touch", "first_touch", "day", "all"]
FileKind = Literal["csv", "parquet"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of one process, checked."""

    # -- what runs
    app_id: Annotated[
        str,
        _says(
            "Name of the Faust app: its consumer groups and tables begin with it.",
            pattern="^[A-Za-z0-9._-]{1,100}$",
            form="1 to 100 letters, digits, dots, underscores and dashes",
        ),
    ] = "weblogs"
    topic_prefix: Annotated[
        str,
        _says(
            "On Kafka all names begin with it: topics, groups, changelogs, transactional ids. Several flows share one Kafka.",
            pattern="^[A-Za-z0-9._-]{0,64}$",
            form="up to 64 letters, digits, dots, underscores and dashes",
        ),
    ] = ""
    broker: Annotated[
        str,
        _says(
            "Where the topics live: sqlite:///FILE (embedded) or kafka://HOST:PORT, several separated by commas.",
            addresses=("sqlite", "kafka"),
        ),
    ] = ""
    stores: Annotated[str, _says("Stores to write to, comma-separated: sqlite, elasticsearch, cassandra.")] = "sqlite"
    roles: Annotated[
        str, _says("What this worker does, comma-separated: flow and names of stores; empty is flow and all stores.")
    ] = ""
    data_dir: Annotated[Path, _says("All state lives below this folder.")] = Path("var")
    partitions: Annotated[int, _says("Partitions of each topic; fixed once the topics exist.", ge=1, le=1024)] = 4
    # -- the web face
    web_host: Annotated[
        str,
        _says(
            "Address that the worker's HTTP server listens on.",
            pattern="^[A-Za-z0-9.:_-]{1,253}$",
            form="an address or the name of a host alone",
        ),
    ] = "127.0.0.1"
    web_port: Annotated[int, _says("Port of the worker's HTTP server; 0 takes a free one.", ge=0, le=65535)] = 5000
    web_hosts: Annotated[
        str,
        _says(
            "Names by which browsers and clients call the worker beside loopback and the address that it listens on,"
            " comma-separated, without ports."
        ),
    ] = ""
    web_token: Annotated[
        str,
        _says(
            "Bearer token required to read. The login page takes it, too. If empty, everybody may.",
            secret=True,
            min_length=16,
        ),
    ] = ""
    web_write_token: Annotated[
        str,
        _says("Bearer token required to post. If empty, WEBLOGS_WEB_TOKEN is.", secret=True, min_length=16),
    ] = ""
    usage_archive: Annotated[
        str,
        _says(
            "Where the usage log is archived: a folder, or s3://BUCKET/PREFIX; empty: usage in WEBLOGS_DATA_DIR.",
            pattern=f"^({BUCKET_ADDRESS}|(?!.*://).*)$",
            form=f"a folder, or {BUCKET_FORM}",
        ),
    ] = ""
    usage_archive_format: Annotated[
        FileKind,
        _says(
            "Form of the files that `usage archive` and `usage repair` write. Files of both may stand in one archive."
        ),
    ] = "csv"
    usage_spool_token: Annotated[
        str,
        _says(
            "Bearer token that `usage check` and `usage repair` send to the spools of services.",
            secret=True,
            min_length=16,
        ),
    ] = ""
    web_open: Annotated[
        bool, _says("Lets the worker listen on other addresses than loopback without WEBLOGS_WEB_TOKEN.")
    ] = False
    web_connections: Annotated[
        int,
        _says(
            "Connections that the HTTP server holds at a time; of those that wait for their client, the oldest goes first.",
            ge=1,
        ),
    ] = 1000
    web_max_body_bytes: Annotated[
        int, _says("Largest body that POST /weblogs/ takes, after decompression.", "bytes", ge=1)
    ] = 32 << 20
    # -- reading lines
    format: Annotated[str, _says("Log format of lines that do not name theirs, or auto.")] = AUTO
    log_format: Annotated[
        str,
        _says(
            "The log format as the server is configured with it, instead of a name: nginx's log_format, Apache's LogFormat,"
            " HAProxy's, Squid's or Envoy's."
        ),
    ] = ""
    sizes: Annotated[str, _says("File with the true sizes: request, tab, bytes a line; re-read when it changes.")] = ""
    learn_sizes: Annotated[
        float,
        _says(
            "How often the worker finds sizes of files in the raw hits of the store that its page shows, and judges by them from"
            " then on; 0 is never.",
            "hours",
            ge=0,
            le=8760,
        ),
    ] = 0.0
    max_line_bytes: Annotated[int, _says("A longer line is rejected as too_long.", "bytes", ge=64)] = 64 << 10
    json_fields: Annotated[str, _says("Field map of the json format: name=path pairs, comma-separated.")] = ""
    realtime_fields: Annotated[
        str, _says("Columns of cloudfront_realtime, comma-separated, in the order configured there.")
    ] = ""
    bytes: Annotated[
        Literal["", "body", "with-headers", "announced"],
        _says(
            "What the byte column of the common formats and of json counts: body, with-headers or announced (the size of"
            " the answer, whatever was sent). Empty: what the format says, else body."
        ),
    ] = ""
    heads: Annotated[
        Literal["", "any"],
        _says(
            "Which heads of unknown loggers before a line are passed over. Empty: of files those that its first lines have, of lines by"
            " POST or Kafka none. any: all, also where a client may have written the line behind."
        ),
    ] = ""
    trusted_proxies: Annotated[
        str,
        _says(
            "Networks of your own proxies, comma-separated: of a list of forwarded addresses the client is the rightmost"
            " one that is not in them. Empty: loopback and private networks."
        ),
    ] = ""
    fields: Annotated[
        str,
        _says(
            "Optional fields that raw hits keep, if the line has them, comma-separated. Empty: none; fewer are faster."
        ),
    ] = ",".join(EXTRAS)
    query: Annotated[
        str,
        _says(
            "What of a request's query tells files apart: keep (all of it), signed (all but the parameters of signed"
            " addresses, as X-Amz-Signature, and CMCD), drop (nothing), or only:a,b (these parameters)."
        ),
    ] = "signed"
    # -- windows
    window: Annotated[Window, _says("How hits are cut into deliveries: last_touch, first_touch, day or all.")] = (
        "last_touch"
    )
    window_length: Annotated[float, _says("Length of last_touch and first_touch windows.", "s", gt=0)] = 86400.0
    lateness: Annotated[
        float, _says("How long after a window's end, in event time, hits are still merged.", "s", ge=0)
    ] = 86400.0
    in_flight: Annotated[
        int,
        _says(
            "The last bytes before the end of a response that broke are doubtful: the network may have held them.",
            "bytes",
            ge=0,
        ),
    ] = IN_FLIGHT_BYTES
    proof: Annotated[
        Literal["usual", "strict"],
        _says("Whether doubtful bytes of a resumed download count. usual: yes, named in the evidence. strict: no."),
    ] = "usual"
    state_ttl: Annotated[
        float, _says("An entry untouched for this long by the wall clock leaves the state.", "s", gt=0)
    ] = 172800.0
    tick_interval: Annotated[
        float, _says("How often watermarks pass through the flow and the state is swept.", "s", gt=0)
    ] = 10.0
    changelog_batch_bytes: Annotated[
        int, _says("Changes beyond this are written in slices; Kafka must take batches of it.", "bytes", ge=1024)
    ] = 4 << 20
    # -- votes and spending
    event_horizon: Annotated[
        int,
        _says(
            "How long the id of a vote, transaction or request is remembered. Within it a repeat is not counted.",
            "s",
            ge=60,
        ),
    ] = 172800
    count_requests: Annotated[
        bool,
        _says(
            "Counts requests by hour and by day while hits come: `report --counted` and `/reports/` answer from the sums, without reading each hit."
        ),
    ] = False
    vote_window: Annotated[int, _says("Length of the windows in which votes are counted.", "s", ge=1, le=86400)] = 600
    vote_one_per_user: Annotated[
        bool, _says("One vote a user over all candidates; every vote must name its user then.")
    ] = False
    vote_future: Annotated[float, _says("A vote dated further ahead of the server's clock is refused.", "s", ge=0)] = (
        300.0
    )
    admin_token: Annotated[
        str,
        _says(
            "Bearer token required to change candidates and users. If empty, they cannot be changed over HTTP.",
            secret=True,
        ),
    ] = ""
    cache: Annotated[
        str,
        _says(
            "Where results of votes and spending are cached: memory, or redis://HOST:PORT/NUMBER for several workers.",
            addresses=("memory", "redis", "rediss", "unix"),
        ),
    ] = "memory"
    cache_refresh: Annotated[float, _says("Results that are asked for are made anew this often.", "s", gt=0)] = 1.0
    cache_max_age: Annotated[float, _says("No cached result is older than this.", "s", gt=0)] = 10.0
    overload_after: Annotated[
        float,
        _says("When a posted vote has waited for this long to be written, others get 503.", "s", gt=0),
    ] = 2.0
    # -- replay
    replay: Annotated[
        str, _says("Files that the worker replays when it starts, separated by the path separator (: on Linux).")
    ] = ""
    rate: Annotated[float, _says("Lines a second that a replay sends; 0 is full speed.", "lines/s", ge=0)] = 0.0
    chunk_bytes: Annotated[
        int,
        _says("Lines are sent in messages of about this size; larger is faster, smaller is sooner.", "bytes", ge=1024),
    ] = 512 << 10
    linger: Annotated[
        float,
        _says(
            "How long an agent waits to fill a batch, once; 0.05 s or longer while lines come fast, but never at 0. Higher: less CPU per line."
            " Lower: less latency.",
            "s",
            ge=0,
            le=10,
        ),
    ] = 0.005
    read_ahead_bytes: Annotated[
        int,
        _says(
            "Messages that each store fetches before it works on them; the flow fetches three times as much. Most of a worker's"
            " memory follows from it while stores are away.",
            "bytes",
            ge=1 << 20,
            le=1 << 30,
        ),
    ] = 2 << 20
    # -- the embedded log
    log_keep: Annotated[
        float, _says("How long the embedded log keeps messages that every group has consumed.", "s", ge=0)
    ] = 60.0
    log_max_bytes: Annotated[
        int,
        _says(
            "When the embedded log holds this much beside its changelogs, producers wait and POST answers 503.",
            "bytes",
            ge=1 << 20,
        ),
    ] = 2 << 30
    # -- Kafka
    kafka_security: Annotated[
        Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"], _says("Protocol to the brokers.")
    ] = "plaintext"
    kafka_sasl: Annotated[Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], _says("SASL mechanism of sasl_*.")] = (
        "SCRAM-SHA-512"
    )
    kafka_user: Annotated[str, _says("User of sasl_*.")] = ""
    kafka_password: Annotated[str, _says("Password of sasl_*.", secret=True)] = ""
    kafka_ca: Annotated[
        str, _says("File with the CA certificates that the brokers are checked against; empty takes the system's.")
    ] = ""
    kafka_cert: Annotated[str, _says("File with this client's certificate, if the brokers ask for one.")] = ""
    kafka_key: Annotated[str, _says("File with the key of that certificate.")] = ""
    kafka_replication: Annotated[int, _says("Copies of each topic that `init` creates.", ge=1)] = 1
    kafka_retention: Annotated[
        float,
        _says("How long topics that `init` creates keep messages; changelogs keep the last of each key.", "s", gt=0),
    ] = 604800.0
    kafka_session: Annotated[float, _says("A worker not heard of for this long loses its partitions.", "s", ge=1)] = 6.0
    table_store: Annotated[
        Literal["auto", "memory", "rocksdb"],
        _says(
            "Where state lives: memory, rocksdb (on disk, Kafka only), or auto: deliveries by the broker, votes and spending on disk."
        ),
    ] = "auto"
    standbys: Annotated[
        int, _says("Workers that keep a copy of each partition's state, to take over sooner.", ge=0)
    ] = 0
    # -- Elasticsearch
    elasticsearch_url: Annotated[str, _says("Its nodes, comma-separated.", addresses=("http", "https"))] = (
        "http://127.0.0.1:9200"
    )
    elasticsearch_user: Annotated[str, _says("User, with the password.")] = ""
    elasticsearch_password: Annotated[str, _says("Password of that user.", secret=True)] = ""
    elasticsearch_api_key: Annotated[str, _says("API key, instead of user and password.", secret=True)] = ""
    elasticsearch_ca: Annotated[str, _says("File with the CA certificates that https nodes are checked against.")] = ""
    elasticsearch_prefix: Annotated[
        str,
        _says(
            "All its names begin with this: several flows can share a server.",
            pattern="^([a-z0-9][a-z0-9_.-]{0,99})?$",
            form="up to 100 small letters, digits, dots, underscores and dashes, the first a letter or a digit",
        ),
    ] = ""
    elasticsearch_shards: Annotated[int, _says("Shards of an index that is created.", ge=1)] = 1
    elasticsearch_replicas: Annotated[int, _says("Replicas of each shard; 0 on a single node.", ge=0)] = 0
    elasticsearch_bulk_bytes: Annotated[int, _says("Size of a bulk request.", "bytes", ge=1024)] = 4 << 20
    elasticsearch_in_flight: Annotated[int, _says("Bulk requests under way at a time.", ge=1)] = 4
    # -- Cassandra
    cassandra_hosts: Annotated[
        str,
        _says(
            "Contact points, comma-separated.",
            pattern="^[A-Za-z0-9.:_-]+( *, *[A-Za-z0-9.:_-]+)*$",
            form="addresses or names of hosts, with commas between them",
        ),
    ] = "127.0.0.1"
    cassandra_port: Annotated[int, _says("Port of the native protocol.", ge=1, le=65535)] = 9042
    cassandra_user: Annotated[str, _says("User, with the password.")] = ""
    cassandra_password: Annotated[str, _says("Password of that user.", secret=True)] = ""
    cassandra_ca: Annotated[str, _says("File with the CA certificates of the nodes; naming one turns TLS on.")] = ""
    cassandra_keyspace: Annotated[
        str,
        _says(
            "Keyspace of the tables.",
            pattern="^[a-z][a-z0-9_]{0,47}$",
            form="up to 48 small letters, digits and underscores, the first a letter",
        ),
    ] = "weblogs"
    cassandra_datacenter: Annotated[str, _says("Data centre to talk to; empty takes that of the contact points.")] = ""
    cassandra_replication: Annotated[int, _says("Copies of each row in a keyspace that is created.", ge=1)] = 1
    cassandra_consistency: Annotated[
        Literal["ONE", "LOCAL_ONE", "LOCAL_QUORUM", "QUORUM", "ALL"],
        _says("Nodes that must have acknowledged a write or answered a read."),
    ] = "LOCAL_QUORUM"
    cassandra_in_flight: Annotated[int, _says("Batches under way at a time.", ge=1)] = 32
    # -- stores
    store_rate: Annotated[
        float, _says("Records a second that each store takes at most; 0 is no limit.", "records/s", ge=0)
    ] = 0.0
    store_raw: Annotated[
        Literal["all", "rejected", "none"], _says("Which raw lines the stores keep: all, rejected or none.")
    ] = "all"
    retention: Annotated[str, _says("How long the stores keep records, counted from ingest: raw,reduced.", "days")] = (
        "7,90"
    )
    output_formulas: Annotated[
        bool,
        _says("Writes texts that a spreadsheet would compute to .csv and .tsv as they are, without ' before them."),
    ] = False
    # -- logging and health
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _says("How much the worker logs.")] = "info"
    log_style: Annotated[
        Literal["text", "json"], _says("The worker's own log lines: text for people, json for machines.")
    ] = "text"
    stall_after: Annotated[
        float, _says("/health/ fails when lag is above 0 and nothing was committed for this long.", "s", gt=0)
    ] = 30.0
    # -- tests
    crash_at: Annotated[
        str, _says("Tests only: the process kills itself at this named point, point or point:n for the n-th time.")
    ] = ""

    def __post_init__(self) -> None:
        if not self.broker:
            msgspec.structs.force_setattr(self, "broker", f"sqlite:///{quote(str(self.data_dir))}/weblogs-log.db")
        elif self.broker.split("://", 1)[0] not in ("sqlite", "kafka"):
            raise SettingsError(f"{PREFIX}BROKER={self.broker!r}: write sqlite:///FILE, or kafka://HOST:PORT")
        if self.format != AUTO:
            try:
                formats.get(self.format)
            except LookupError as error:
                raise SettingsError(
                    f"{PREFIX}FORMAT={self.format!r:.300}: {error.args[0]:.500}; `python -m app formats` lists them"
                ) from None
        if self.log_format:
            msgspec.structs.force_setattr(self, "format", _format_of(self.log_format))
        _ = self.retention_days, self.role_names, self.web_host_names
        try:
            clients(self.trusted_proxies)
        except ValueError as error:
            raise SettingsError(f"{PREFIX}TRUSTED_PROXIES={self.trusted_proxies!r}: {error}") from None
        try:
            chosen_extras(self.fields)
        except ValueError as error:
            raise SettingsError(f"{PREFIX}FIELDS={self.fields!r}: {error}") from None
        try:
            query_rule(self.query)
        except ValueError as error:
            raise SettingsError(f"{PREFIX}QUERY={self.query!r}: {error}") from None
        if self.learn_sizes and self.store_raw != "all":
            raise SettingsError(
                f"{PREFIX}LEARN_SIZES={self.learn_sizes:g}: sizes are learned from raw hits, and {PREFIX}STORE_RAW={self.store_raw}"
                f" keeps none; set {PREFIX}STORE_RAW=all"
            )
        if not self.on_kafka and set(self.role_names) != {"flow", *self.store_names}:
            raise SettingsError(
                f"{PREFIX}ROLES={self.roles!r}: the embedded log has one worker, which does all; roles are for Kafka"
            )
        if self.table_store == "rocksdb" and not self.on_kafka:
            raise SettingsError(
                f"{PREFIX}TABLE_STORE=rocksdb works on Kafka only: the embedded log keeps the table of deliveries in memory"
            )

    @property
    def store_names(self) -> tuple[str, ...]:
        return _names(self.stores)

    @property
    def elasticsearch_hosts(self) -> tuple[str, ...]:
        """With their ports; that of an address without one is 9200.

        >>> Settings(elasticsearch_url="http://a, https://b:1/, http://c/es/").elasticsearch_hosts
        ('http://a:9200', 'https://b:1/', 'http://c:9200/es/')
        """
        parts = map(urlsplit, _names(self.elasticsearch_url))
        return tuple((each if each.port else each._replace(netloc=f"{each.netloc}:9200")).geturl() for each in parts)

    @property
    def role_names(self) -> tuple[str, ...]:
        """flow and stores. Raises SettingsError for a role that is neither."""
        asked = _names(self.roles)
        if wrong := [role for role in asked if role not in ("flow", *self.store_names)]:
            raise SettingsError(
                f"{PREFIX}ROLES={self.roles!r}: {wrong[0]!r} is neither flow nor among {PREFIX}STORES={self.stores!r}"
            )
        return asked or ("flow", *self.store_names)

    @property
    def web_host_names(self) -> tuple[str, ...]:
        """In lower case. Raises SettingsError for what is no name."""
        names = _names(self.web_hosts.lower())
        if wrong := [name for name in names if not re.fullmatch(r"[\w.-]+|\[?[0-9a-f:.]+\]?", name)]:
            raise SettingsError(
                f"{PREFIX}WEB_HOSTS={self.web_hosts!r}: {wrong[0]!r} is no name; write weblogs.example.org, without http:// and port"
            )
        return tuple(name.strip("[]").removesuffix(".") for name in names)

    @property
    def token_to_write(self) -> str:
        """What a client that posts sends; empty: nothing."""
        return self.web_write_token or self.web_token

    @property
    def rules(self) -> Rules:
        """How hits become deliveries."""
        return Rules(
            self.window, self.window_length, self.lateness, Proof(self.in_flight, strict=self.proof == "strict")
        )

    @property
    def on_kafka(self) -> bool:
        return self.broker.startswith("kafka:")

    @property
    def flow_id(self) -> str:
        """The consumer group of the flow; other groups, tables and changelogs begin with it."""
        return f"{self.topic_prefix}{self.app_id}" if self.on_kafka else self.app_id

    @property
    def retention_days(self) -> tuple[float, float]:
        """(raw, reduced)"""
        try:
            raw, reduced = (float(part) for part in self.retention.split(","))
        except ValueError:
            raise SettingsError(
                f"{PREFIX}RETENTION={self.retention!r}: write two numbers of days, raw,reduced, as in 7,90"
            ) from None
        for days in (raw, reduced):
            if wrong := _wrong(days, ()):
                raise SettingsError(f"{PREFIX}RETENTION={self.retention!r}: {wrong}")
        return raw, reduced

    @property
    def learned_sizes_path(self) -> Path:
        """What `learn_sizes` found last."""
        return self.data_dir / "learned-sizes.tsv"

    @property
    def store_path(self) -> Path:
        """The SQLite store's file."""
        return self.data_dir / "weblogs.db"


def _format_of(text: str) -> str:
    if text in ("text", "json"):
        raise SettingsError(
            f"{PREFIX}LOG_FORMAT={text!r} is the format of the logs that are read; how the worker's own log lines look is"
            f" {PREFIX}LOG_STYLE={text}"
        )
    from app.domain.formats.format_strings import FormatTextError, compiled  # slow to load, and seldom needed

    try:
        return compiled(text).format.name
    except FormatTextError as error:
        raise SettingsError(f"{PREFIX}LOG_FORMAT: {error}") from None


class SettingRow(NamedTuple):
    """One setting, for the table that people read."""

    name: str
    default: str
    unit: str
    meaning: str
    secret: bool
    """Its value is never printed."""

    def shown(self, value: object) -> str:
        """A value of this setting as it may be printed."""
        return MASK if self.secret and value else masked(str(value))


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())


def _meta(hint: Any) -> msgspec.Meta:
    assert get_origin(hint) is Annotated
    return next(part for part in get_args(hint)[1:] if isinstance(part, msgspec.Meta))


def _extra(meta: msgspec.Meta) -> dict[str, Any]:
    assert meta.extra is not None
    return meta.extra


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Settings, include_extras=True)


@cache
def rows() -> tuple[SettingRow, ...]:
    """Every setting in the order of the flow."""
    hints = _hints()
    found = []
    for field in msgspec.structs.fields(Settings):
        meta = _meta(hints[field.name])
        default = "sqlite:///DATA_DIR/weblogs-log.db" if field.name == "broker" else str(field.default)
        kind, meaning = get_args(hints[field.name])[0], meta.description or ""
        if get_origin(kind) is Literal and not all(value in meaning for value in get_args(kind)):
            meaning += f" Allowed: {_one_of(kind)}."
        found.append(
            SettingRow(
                PREFIX + field.name.upper(),
                default,
                _extra(meta)["unit"],
                meaning,
                _extra(meta)["secret"],
            )
        )
    return tuple(found)


def load(environ: Mapping[str, str]) -> Settings:
    """Settings from a mapping of WEBLOGS_ variables.

    Raises SettingsError that names the variable, its value and what is allowed; unknown names count as mistakes.
    """
    given_texts = {variable: text for variable, text in environ.items() if variable.startswith(PREFIX)}
    if not given_texts:
        return Settings()  # what each setting may hold takes longer to find out than a small report
    hints = _hints()
    values: dict[str, Any] = {}
    for variable, text in given_texts.items():
        name = variable[len(PREFIX) :].lower()
        if name not in hints:
            raise SettingsError(f"{variable} is no setting; `python -m app settings` lists them")
        if text != "":
            values[name] = Path(text) if name == "data_dir" else text
    checked = {}
    secret = {row.name: row for row in rows() if row.secret}
    keep_secret(str(text) for name, text in values.items() if PREFIX + name.upper() in secret)
    for name, text in values.items():
        variable = PREFIX + name.upper()
        given = f"{variable}={MASK if variable in secret else repr(str(text))}"
        try:
            checked[name] = msgspec.convert(text, hints[name], strict=False)
        except msgspec.ValidationError:
            raise SettingsError(f"{given}: write {_allowed(hints[name])}. {_meta(hints[name]).description}") from None
        if wrong := _wrong(checked[name], _extra(_meta(hints[name]))["addresses"]):
            raise SettingsError(f"{given}: {wrong}. {_meta(hints[name]).description}")
        if name.endswith("_token") and text != str(text).strip():
            raise SettingsError(f"{given}: it begins or ends with a space, which no client can send")
    return Settings(**checked)


def _allowed(hint: Any) -> str:
    """What a setting may hold, in words."""
    kind, meta = get_args(hint)[0], _meta(hint)
    if get_origin(kind) is Literal:
        return _one_of(kind)
    if kind is bool:
        return "true or false"
    if kind is str:
        return str(_extra(meta)["form"]) or f"{meta.min_length} characters or more"
    noun = "a whole number" if kind is int else "a number"
    if meta.gt is not None:
        return f"{noun} above {meta.gt:,}"
    if meta.ge is None:
        return noun
    return f"{noun}, {meta.ge:,} or more" if meta.le is None else f"{noun} from {meta.ge:,} to {meta.le:,}"


def _one_of(kind: Any) -> str:
    *first, last = filter(None, get_args(kind))
    return f"{', '.join(first)} or {last}"


def _wrong(value: Any, schemes: tuple[str, ...]) -> str:
    """What is wrong with a value whatever setting has it, a clause; empty for a good one."""
    if isinstance(value, int | float):
        return "" if abs(value) <= LARGEST_NUMBER else f"no number may be above {LARGEST_NUMBER:,}"
    if not str(value).isprintable():
        return "it holds a character that cannot be printed"
    if schemes and value:
        for address in str(value).split(","):
            if wrong := _wrong_address(address.strip(), schemes):
                return wrong
    return ""


def _wrong_address(address: str, schemes: tuple[str, ...]) -> str:
    scheme, found, rest = address.partition("://")
    if not found and ("memory" not in schemes or address != "memory") and "kafka" not in schemes:
        return f"{address!r} does not begin with {' or '.join(f'{one}://' for one in schemes if one != 'memory')}"
    if found and scheme not in schemes:
        return f"{scheme}:// is none of {', '.join(f'{one}://' for one in schemes if one != 'memory')}"
    if scheme in ("sqlite", "unix"):
        return "" if rest.startswith("/") and rest.strip("/") else "it names no file"
    if address == "memory":
        return ""
    try:
        parts = urlsplit(address if found else f"//{address}")
        named, port = parts.hostname, parts.port
    except ValueError as error:
        return f"{address!r}: {error}"
    if not named or " " in address:
        return f"{address!r} names no host"
    return "port 0 is none" if port == 0 else ""


@cache
def settings() -> Settings:
    """The settings of this process, read once: environment before `.env`."""
    merged = _from_env_file() if Path(".env").exists() else {}
    merged.update({name: value for name, value in os.environ.items() if name.startswith(PREFIX)})
    return load(merged)


def _from_env_file() -> dict[str, str]:
    from dotenv import dotenv_values

    return {
        name: value for name, value in dotenv_values(".env").items() if value is not None and name.startswith(PREFIX)
    }


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file that somebody wrote. Raises UnreadableFile that names it."""
    import tomllib  # few commands read one

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"{path} is no TOML: {error}") from None


def child_environment(**changed: object) -> dict[str, str]:
    """This process' environment for a child of it, with some settings changed, named as the fields of Settings."""
    return {**os.environ, **{PREFIX + name.upper(): str(value) for name, value in changed.items()}}
