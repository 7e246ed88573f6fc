"""The connection to Elasticsearch: who we are, and its failures as sentences."""

from __future__ import annotations

import io
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from app.errors import SettingsError, StoreError, StoreRefused, StoreUnreachable
from app.settings import PREFIX, Settings

if TYPE_CHECKING:
    from elasticsearch import AsyncElasticsearch

__all__ = ["BULK_TIMEOUT_S", "TIMEOUT_S", "ElasticsearchConnection", "said"]

TIMEOUT_S = 30.0
BULK_TIMEOUT_S = 60.0
PING_TIMEOUT_S = 5.0
_JSON = {"accept": "application/json", "content-type": "application/json"}
_NDJSON = {"accept": "application/json", "content-type": "application/x-ndjson"}
_NAME = f"{PREFIX}ELASTICSEARCH_"


class _Json:
    """The client's (de)serializer by msgspec: several times as fast as the standard library's."""

    mimetype = "application/json"

    def loads(self, data: bytes) -> Any:
        from elastic_transport import SerializationError

        try:
            return msgspec.json.decode(data) if data else None
        except (ValueError, RecursionError) as error:
            raise SerializationError(f"{data[:100]!r} is no JSON ({error})") from error

    def dumps(self, data: Any) -> bytes:
        return data if isinstance(data, bytes) else msgspec.json.encode(data)


class _Answer(dict[str, Any]):
    """An answer of the server; what is missing in it makes it no answer."""

    def __init__(self, no_answer: Callable[[Any], StoreUnreachable], body: Mapping[str, Any]) -> None:
        super().__init__(body)
        self._told = no_answer

    def __missing__(self, name: str) -> Any:
        raise self._told(dict(self))


class _Body(io.BytesIO):
    """A body that the driver may try to write into a log."""

    def decode(self, *_: str) -> str:
        return f"({len(self.getbuffer())} bytes)"


class _Ndjson(_Json):
    """Bodies as files: the HTTP client sends those in pieces, where it would copy several megabytes at once. Read once: no retries."""

    mimetype = "application/x-ndjson"

    def dumps(self, data: Any) -> Any:
        return _Body(data)


def said(error: Mapping[str, Any] | str | None) -> str:
    """A server's error in one line: type, reason, and the innermost cause."""
    if not isinstance(error, Mapping):
        return str(error or "")[:500] or "no reason given"
    text = f"{error.get('type')}: {error.get('reason')}"
    cause = error.get("caused_by")
    while isinstance(cause, Mapping) and isinstance(cause.get("caused_by"), Mapping):
        cause = cause["caused_by"]
    return (f"{text} ({cause.get('reason')})" if isinstance(cause, Mapping) else text)[:1000]


class ElasticsearchConnection:
    """Requests to the nodes of the settings; connects with the first one.

    Two functions say what to set, or None where waiting may mend it: `wrong_address` by the words of the server that was reached, or else
    of the client; `not_let_in` by status, reason and what was to be done.
    """

    def __init__(
        self,
        settings: Settings,
        wrong_address: Callable[[str, bool], Awaitable[StoreRefused | None]],
        not_let_in: Callable[[int, str, str], StoreRefused | None],
    ) -> None:
        self._settings, self._wrong_address, self._not_let_in = settings, wrong_address, not_let_in
        self._hosts = settings.elasticsearch_hosts
        self.where = ", ".join(self._hosts)
        self._client: AsyncElasticsearch | None = None

    def _connect(self) -> AsyncElasticsearch:
        from elasticsearch import AsyncElasticsearch

        own = self._settings
        logging.getLogger("elastic_transport").setLevel(logging.ERROR)  # it tells of each request
        # else it writes down each body, for whatever level
        logging.getLogger("elastic_transport.node").propagate = False
        json = {name: _Json() for name in ("application/json", "application/vnd.elasticsearch+json")}
        options: dict[str, Any] = {"serializers": json | {"application/vnd.elasticsearch+x-ndjson": _Ndjson()}}
        if own.elasticsearch_api_key:
            options["api_key"] = own.elasticsearch_api_key
        elif own.elasticsearch_user:
            options["basic_auth"] = (own.elasticsearch_user, own.elasticsearch_password)
        if own.elasticsearch_ca and any(host.startswith("https:") for host in self._hosts):
            options["ca_certs"] = own.elasticsearch_ca
        try:
            return AsyncElasticsearch(
                list(self._hosts),
                request_timeout=TIMEOUT_S,
                max_retries=0,
                retry_on_status=(),
                connections_per_node=own.elasticsearch_in_flight + 8,
                **options,
            )
        except (ValueError, OSError) as error:
            raise SettingsError(
                f"Elasticsearch cannot be asked with {_NAME}URL={own.elasticsearch_url!r}: {error}"
            ) from error

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def ping(self) -> None:
        """Returns when Elasticsearch answers. Raises StoreRefused for an address at which it never will."""
        answer = await self.call("GET", "/", timeout_s=PING_TIMEOUT_S, ignore=(400, 404, 405))
        if isinstance(answer, Mapping) and "version" in answer:
            return
        raise await self._wrong_address(self.reason(answer), True) or self.no_answer(answer)

    async def bulk(self, body: bytes, params: Mapping[str, str]) -> tuple[int, Any]:
        """(status, answer) of a bulk request. Raises StoreUnreachable or StoreRefused."""
        status, answer = await self._perform("POST", "/_bulk", params, _NDJSON, body, BULK_TIMEOUT_S, "write to")
        if status < 300 and not (isinstance(answer.get("errors"), bool) and isinstance(answer.get("items"), list)):
            raise self.no_answer(answer)
        return status, answer

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        doing: str = "read",
        timeout_s: float = TIMEOUT_S,
        ignore: Collection[int] = (),
    ) -> Any:
        """The answer. A status of 400 or more that is not to be ignored raises StoreError with the server's reason."""
        status, answer = await self._perform(method, path, params or {}, _JSON, body, timeout_s, doing)
        if status >= 400 and status not in ignore:
            raise StoreError(f"cannot {doing} Elasticsearch at {self.where}: {self.reason(answer)}")
        return answer

    @staticmethod
    def reason(answer: Any) -> str:
        """What the server said went wrong."""
        if isinstance(answer, Mapping) and answer.get("failures"):  # of a query that deletes
            return said(answer["failures"][0].get("cause"))
        return said(answer.get("error", answer) if isinstance(answer, Mapping) else answer)

    async def _perform(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        headers: dict[str, Any],
        body: Any,
        timeout_s: float,
        doing: str,
    ) -> tuple[int, Any]:
        from elasticsearch import exceptions as failures

        if self._client is None:
            self._client = self._connect()
        client = self._client.options(request_timeout=timeout_s)
        for nodes_left in range(len(self._hosts) - 1, -1, -1):
            try:
                response = await client.perform_request(method, path, params=params, headers=headers, body=body)
                break
            except failures.ApiError as error:
                status, reason = error.meta.status, self.reason(error.body)
                if isinstance(error, failures.UnsupportedProductError):
                    raise StoreUnreachable(
                        f"what answers at {self.where} is not Elasticsearch, or a proxy before it; if it stays so, set {_NAME}URL"
                    ) from None
                if refused := self._not_let_in(status, reason, doing):
                    raise refused from None
                # Netty answers a body that is too large before Elasticsearch sees it: without a word.
                if status not in (404, 413) and not isinstance(error.body, Mapping):
                    raise self.no_answer(error.body) from None
                return status, error.body
            except failures.SerializationError as error:
                raise self.no_answer(str(error)) from None
            except failures.ConnectionTimeout:
                raise StoreUnreachable(
                    f"Elasticsearch at {self.where} did not answer within {timeout_s:g} s; is it overloaded?"
                ) from None
            except failures.TransportError as error:
                if not nodes_left:
                    wrong = await self._wrong_address(str(error.message), False)
                    raise wrong or StoreUnreachable(
                        f"Elasticsearch at {self.where} is not reachable ({str(error.message)[:300]}); "
                        f"start it, or set {_NAME}URL or, for https, {_NAME}CA"
                    ) from None
        if method != "HEAD" and not isinstance(response.body, Mapping):
            raise self.no_answer(response.body)
        body = response.body
        return response.meta.status, _Answer(self.no_answer, body) if isinstance(body, dict) else body

    def no_answer(self, body: Any) -> StoreUnreachable:
        """What a proxy, a login page or a broken connection puts in the place of an answer."""
        return StoreUnreachable(
            f"what answers at {self.where} does not answer as Elasticsearch does: {str(body)[:120]!r}; is there a proxy before it?"
        )
