"""The session with Cassandra: opened in a thread, asked without blocking, its errors in words.

The driver answers in a thread of its own (the libev reactor); answers pass to the event loop by `call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from app.errors import SettingsError, StoreError, StoreUnreachable
from app.process.pauses import pauses

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["REQUEST_S", "CassandraConnection", "StatementRefused", "where_of"]

REQUEST_S = 30.0
"""How long one request may take: single syncs of more than a second were seen."""
CONNECT_S = 10.0
RECONNECT_S = 5.0
"""At most this long after a node is back it is used again."""
TRIES = 6
"""Tries of one request while nodes are overloaded or away, with growing pauses: about 3 s in all, then the caller decides."""
PAUSE_S, LONGEST_PAUSE_S = 0.1, 3.2


# the driver prints a stack for what is told here in one sentence
logging.getLogger("cassandra.cluster").addFilter(lambda record: record.msg != "Error preparing query:")
_OF_MISSING_TABLES = ("unconfigured table", "does not exist", "No keyspace")
_OF_THE_SERVER = ("disk usage exceeds", "consistency level")
"""What a guardrail of the server's operator says that refuses every record: a full disk, a consistency that is not allowed."""


class StatementRefused(StoreError):
    """The server will never take this statement; the text is its reason."""


def where_of(settings: Settings) -> str:
    """The store, as messages name it."""
    return f"Cassandra at {settings.cassandra_hosts}:{settings.cassandra_port}"


class CassandraConnection:
    """One cluster and one session. Not opened yet. `why_not` says why none was made, by the driver's error and the data centres."""

    def __init__(
        self, settings: Settings, why_not: Callable[[Settings, Exception, Sequence[str]], StoreError | SettingsError]
    ) -> None:
        self._settings, self._why_not = settings, why_not
        self._cluster: Any = None
        self.session: Any = None
        self.where = where_of(settings)
        self.keyspace = settings.cassandra_keyspace
        self.statements: dict[str, str] = {}
        """Name → CQL: what the capabilities of the store on this connection execute."""
        self.tables: dict[str, str] = {}
        """Name → CQL: what is made beside the tables of records."""
        self._prepared: dict[str, Any] = {}
        self.unset: Any = None
        """What the driver takes for a column that is not written."""
        self.lost_tables = 0
        """How often a table was found missing: what is remembered of its rows is then void."""

    # -- opening, in a thread

    def connect(self) -> None:
        """Blocks until the nodes are known. Raises SettingsError for settings that cannot work, StoreUnreachable where nobody answers."""
        try:
            from cassandra import ConsistencyLevel, UnresolvableContactPoints, policies
            from cassandra.auth import PlainTextAuthProvider
            from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
            from cassandra.query import UNSET_VALUE, tuple_factory
        except ImportError as error:
            raise SettingsError(f"the store cassandra needs its driver ({error}); run `make setup`") from error
        try:
            from cassandra.io.libevreactor import LibevConnection
        except ImportError as error:
            raise SettingsError(
                f"the Cassandra driver has no libev reactor ({error}); install the cassandra-driver wheel that requirements.txt names"
            ) from error
        own = self._settings
        profile = ExecutionProfile(
            load_balancing_policy=policies.TokenAwarePolicy(policies.DCAwareRoundRobinPolicy(own.cassandra_datacenter)),
            retry_policy=policies.FallthroughRetryPolicy(),  # what to repeat is decided here: every statement of the store can be
            consistency_level=ConsistencyLevel.name_to_value[own.cassandra_consistency],
            request_timeout=REQUEST_S,
            row_factory=tuple_factory,
        )
        auth = PlainTextAuthProvider(own.cassandra_user, own.cassandra_password) if own.cassandra_user else None
        tls = self._tls()
        try:
            cluster = Cluster(
                [host.strip() for host in own.cassandra_hosts.split(",") if host.strip()],
                port=own.cassandra_port,
                auth_provider=auth,
                ssl_context=tls,
                execution_profiles={EXEC_PROFILE_DEFAULT: profile},
                connection_class=LibevConnection,
                reconnection_policy=policies.ExponentialReconnectionPolicy(0.5, RECONNECT_S, max_attempts=None),
                protocol_version=5,  # Cassandra 4.0 and newer; to try from above costs a connection each, and a warning
                connect_timeout=CONNECT_S,
                control_connection_timeout=CONNECT_S,
            )
        except UnresolvableContactPoints:  # a name server may be away for as long as a node
            raise StoreUnreachable(
                f"{self.where} does not answer: no name of WEBLOGS_CASSANDRA_HOSTS={own.cassandra_hosts!r} can be resolved"
            ) from None
        except (ValueError, TypeError, OSError) as error:
            raise SettingsError(f"WEBLOGS_CASSANDRA_HOSTS={own.cassandra_hosts!r} cannot be used: {error}") from error
        driver_log = logging.getLogger("cassandra")
        level = driver_log.level
        driver_log.setLevel(logging.CRITICAL)  # it prints stacks for what is told here in one sentence
        try:
            self.session = cluster.connect()
        except Exception as error:
            centres = sorted({str(host.datacenter) for host in cluster.metadata.all_hosts() if host.datacenter})
            cluster.shutdown()
            raise self._why_not(self._settings, error, centres) from error
        finally:
            driver_log.setLevel(level)
        self._cluster, self.unset = cluster, UNSET_VALUE

    def _tls(self) -> ssl.SSLContext | None:
        if not self._settings.cassandra_ca:
            return None
        try:
            return ssl.create_default_context(cafile=self._settings.cassandra_ca)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"WEBLOGS_CASSANDRA_CA={self._settings.cassandra_ca!r} cannot be read as CA certificates: {error}"
            ) from error

    def shutdown(self) -> None:
        """Blocks until the threads of the driver have ended."""
        cluster, self._cluster, self.session = self._cluster, None, None
        self._prepared.clear()
        if cluster is not None:
            cluster.shutdown()

    def prepare(self) -> None:
        """Blocks; the `statements` can then be named in `bound`. Raises StoreUnreachable where a table is missing."""
        for name, cql in self.statements.items():
            try:
                self._prepared[name] = self.session.prepare(cql)
            except Exception as error:
                raise self.failure(error) from error

    def check_statement(self, name: str) -> None:
        """Blocks. Raises StoreError if the server takes this prepared statement no more, whatever its values: no record is at fault then."""
        try:
            self.session.prepare(self._prepared[name].query_string)
        except Exception as error:
            told = self.failure(error)
            if not isinstance(told, StatementRefused):
                raise told from error
            raise StoreError(
                f"{self.where} takes no records: a table of the keyspace {self.keyspace} was altered ({told});"
                " start the worker again, which adds a column that is missing, then run `python -m app repair`"
            ) from error

    def execute(
        self, cql: str, parameters: tuple[Any, ...] | None = None, timeout_s: float = REQUEST_S
    ) -> list[tuple[Any, ...]]:
        """Blocks; for the schema."""
        try:
            return list(self.session.execute(cql, parameters, timeout=timeout_s))
        except Exception as error:
            raise self.failure(error) from error

    def agree(self) -> bool:
        """Blocks until all nodes have the same schema; False after ten seconds of disagreement."""
        return bool(self._cluster.control_connection.wait_for_schema_agreement(wait_time=10.0))

    @property
    def datacenter(self) -> str:
        """The one that new keyspaces are created in."""
        return self._settings.cassandra_datacenter or next(
            str(host.datacenter) for host in self._cluster.metadata.all_hosts()
        )

    @property
    def nodes(self) -> int:
        return len(self._cluster.metadata.all_hosts())

    # -- statements

    def bound(self, name: str, values: Sequence[Any], page_rows: int | None = None) -> Any:
        """A prepared statement with its encoded values."""
        from cassandra.query import BoundStatement

        statement = BoundStatement(self._prepared[name])
        statement.values = values
        if page_rows is not None:
            statement.fetch_size = page_rows
        return statement

    def replica(self, statement: Any) -> Any:
        """The node that a statement's partition lives on first, or None where that is not known."""
        if statement.routing_key is None:
            return None
        replicas = self._cluster.metadata.get_replicas(self._settings.cassandra_keyspace, statement.routing_key)
        return replicas[0].host_id if replicas else None

    async def ask(self, statement: Any, timeout_s: float = REQUEST_S) -> list[tuple[Any, ...]]:
        """All rows of a bounded read, or none of a write; repeated while that can help.

        Raises Refused for what will never be taken, StoreUnreachable or StoreError else.
        """
        return [row async for page in self.pages(statement, timeout_s) for row in page]

    async def pages(self, statement: Any, timeout_s: float = REQUEST_S) -> AsyncIterator[list[tuple[Any, ...]]]:
        """The rows page by page; one page is in memory at a time."""
        if self.session is None:
            raise StoreUnreachable(f"{self.where} is not open")
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[list[tuple[Any, ...]]] = loop.create_future()

        def take(setter: str, value: Any) -> None:
            if not waiter.done():
                getattr(waiter, setter)(value)

        def tell(setter: str, value: Any) -> None:
            try:
                loop.call_soon_threadsafe(take, setter, value)
            except RuntimeError:  # the loop was closed meanwhile: nobody waits
                pass

        response: Any = None
        while True:
            tried = 0
            async for _ in pauses(PAUSE_S, LONGEST_PAUSE_S):
                try:
                    if response is None or not response.has_more_pages:
                        response = self.session.execute_async(statement, timeout=timeout_s)
                        response.add_callbacks(
                            lambda rows: tell("set_result", rows), lambda error: tell("set_exception", error)
                        )
                    else:
                        response.start_fetching_next_page()
                    rows = await waiter
                    break
                except asyncio.CancelledError:
                    raise
                except Exception as error:
                    waiter = loop.create_future()
                    tried += 1
                    failed = self.failure(error)
                    if isinstance(failed, StatementRefused) or tried == TRIES or self.session is None:
                        raise failed from error
            yield rows or []
            if not response.has_more_pages:
                return
            waiter = loop.create_future()

    def failure(self, error: Exception) -> StoreError | SettingsError:
        """What an error of the driver means."""
        import cassandra
        from cassandra.cluster import NoHostAvailable
        from cassandra.connection import ConnectionException

        reason = _message(error)
        if isinstance(error, (StoreError, SettingsError)):
            return error
        if isinstance(error, cassandra.AuthenticationFailed):
            return self._why_not(self._settings, error, ())
        if isinstance(error, cassandra.Unauthorized):
            return StoreError(
                f"{self.where} does not allow the user {self._settings.cassandra_user!r} to do this: {reason}"
            )
        if isinstance(error, cassandra.InvalidRequest) and any(words in reason for words in _OF_MISSING_TABLES):
            self.lost_tables += 1
            keyspace = self._settings.cassandra_keyspace
            return StoreUnreachable(
                f"{self.where} lacks tables of the keyspace {keyspace} ({reason}); a worker makes them anew at its next write, `init` at once"
            )
        if isinstance(error, cassandra.InvalidRequest) and any(words in reason for words in _OF_THE_SERVER):
            return StoreUnreachable(f"{self.where} takes no records: {reason}")
        if isinstance(error, cassandra.RequestValidationException):
            return StatementRefused(reason)
        if isinstance(error, NoHostAvailable):
            causes = [_message(cause) for cause in error.errors.values() if isinstance(cause, Exception)]
            return StoreUnreachable(f"no node of {self.where} answers{': ' if causes else ''}{'; '.join(causes[:2])}")
        if isinstance(
            error, (cassandra.Unavailable, cassandra.Timeout, cassandra.OperationTimedOut, ConnectionException)
        ):
            return StoreUnreachable(f"{self.where} did not answer as asked: {reason}")
        return StoreError(f"{self.where} failed: {reason}")


def _message(error: BaseException) -> str:
    """The server's own words, without the driver's frame around them."""
    _, quoted, message = str(error).partition('message="')
    return (message.rpartition('"')[0] if quoted else str(error) or type(error).__name__)[:400]
