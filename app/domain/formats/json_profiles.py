"""JSON access logs that are known by name: what tells one, and where its fields stand.

A profile is chosen by the keys of each line, or by its name in the field map. What a profile does not name keeps the usual
paths of json_fields.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import NamedTuple

from app.domain.records import HitFlag

__all__ = ["FIELDS", "PROFILES", "Profile", "profile_of"]

_HEADERS_COUNTED = int(HitFlag.HEADERS_COUNTED)
_NONE: tuple[str, ...] = ()

FIELDS: dict[str, tuple[str, ...]] = {
    "time": (
        "time", "@timestamp", "timestamp", "ts", "time_iso8601", "time_local", "msec", "datetime", "StartUTC", "EdgeStartTimestamp",
        "start_time", "requestTime", "requestTimeEpoch", "unixtime", "started_at", "date", "@t", "timeUnixNano",
    ),
    "ip_address": (
        "ip_address", "clientip", "client_ip", "remote_addr", "remote_ip", "request.client_ip", "request.remote_ip", "client.ip",
        "source.ip", "source.address", "client.address", "ip", "c-ip", "ClientHost", "ClientIP", "request.remote_addr",
        "client", "remoteIP", "remoteIp", "remoteAddr", "remotehost", "sourceIp", "clientIp", "callerIpAddress", "remote_host",
        "remoteAddress", "req.remoteAddress", "network.client.ip", "request.ip", "remote", "request.remote_address", "request.remoteAddress", "client.addr",
    ),
    "user_agent": (
        "user_agent", "user_agent.original", "http_user_agent", "agent", "request.headers.User-Agent", "request_User-Agent",
        "cs(User-Agent)", "ClientRequestUserAgent", "userAgent", "ua", "requestHeaders.User-Agent",
        "request.headers.user-agent", "req.headers.user-agent", "headers.user-agent", "http.useragent", "request.user-agent",
        "http.request.header.user-agent", "request.user_agent", "request.userAgent", "request.agent",
    ),
    "request": ("request", "request_line", "requested_url"),
    "method": (
        "method", "request_method", "request.method", "http.request.method", "verb", "cs-method", "RequestMethod", "ClientRequestMethod",
        "httpMethod", "http_method", "http.method", "req.method",
    ),
    "path": (
        "path", "request_uri", "uri", "request.uri", "url.original", "url.path", "url", "cs-uri-stem", "RequestPath", "ClientRequestURI",
        "requestPath", "resourcePath", "request.path", "request.url", "http.url", "req.url", "ClientRequestPath",
    ),
    "query": ("url.query", "cs-uri-query", "query", "args", "query_string", "request_query", "request.query", "req.query"),
    "protocol": (
        "server_protocol", "request.proto", "protocol", "proto", "http.version", "httpversion", "http_version", "RequestProtocol",
        "ClientRequestProtocol", "cs-version", "cs-protocol-version", "network.protocol.version",
        "request_protocol", "httpVersion", "request_proto", "req.httpVersion",
    ),
    "forwarded": (
        "http_x_forwarded_for", "x_forwarded_for", "request.headers.X-Forwarded-For", "request_X-Forwarded-For", "x-forwarded-for",
        "http.request.header.x-forwarded-for", "forwarded_for", "remote_ip", "real_ip", "x_real_ip", "http_x_real_ip", "http_cf_connecting_ip",
        "http_true_client_ip",
    ),
    "status": (
        "status", "http.response.status_code", "response.status_code", "response", "status_code", "sc-status", "DownstreamStatus",
        "EdgeResponseStatus", "statusCode", "http_code", "return_code", "http_status", "httpStatus",
        "http.status_code", "response.status", "res.statusCode", "responseCode", "code", "response.statusCode", "response.code", "response_status",
        "response_code",
    ),
    "range": ("byte_range", "range"),
    "content_range": (
        "content_range", "sent_http_content_range", "resp_headers.Content-Range", "response.headers.Content-Range",
        "http.response.headers.content-range", "downstream_Content-Range", "resp_headers.content-range",
        "response.headers.content-range", "res.headers.content-range", "response_headers.content-range", "http.response.header.content-range",
        "response.content_range", "response.contentRange",
    ),
    "content_length": (
        "content_length", "sent_http_content_length", "resp_headers.Content-Length", "response.headers.Content-Length",
        "http.response.headers.content-length", "downstream_Content-Length", "sc-content-len",
        "response.headers.content-length", "res.headers.content-length", "response_headers.content-length", "http.response.header.content-length",
        "response.content_length", "response.contentLength",
    ),
    "content_encoding": (
        "content_encoding", "sent_http_content_encoding", "resp_headers.Content-Encoding", "response.headers.Content-Encoding",
        "http.response.headers.content-encoding", "downstream_Content-Encoding",
        "response.headers.content-encoding", "res.headers.content-encoding", "response_headers.content-encoding",
        "http.response.header.content-encoding", "response.content_encoding", "response.contentEncoding",
    ),
    "compression_ratio": ("compression_ratio", "gzip_ratio", "GzipRatio", "EdgeResponseCompressionRatio"),
    "content_type": (
        "content_type", "sent_http_content_type", "resp_headers.Content-Type", "response.headers.Content-Type",
        "http.response.mime_type", "downstream_Content-Type", "sc-content-type",
        "response.headers.content-type", "res.headers.content-type", "response_headers.content-type", "http.response.header.content-type", "response.content_type", "response.contentType",
    ),
    "referer": (
        "referer", "http_referer", "referrer", "http.request.referrer", "request.headers.Referer", "request_Referer", "cs(Referer)",
        "ClientRequestReferer", "http.request.header.referer",
    ),
    "virtual_host": (
        "virtual_host", "http_host", "server_name", "vhost", "request.host", "url.domain", "RequestHost", "ClientRequestHost",
        "cs-host", "x-host-header", "authority", "server.address",
    ),
    "duration_s": ("duration_s", "request_time"),
    "duration_ms": ("duration_ms",),
    "duration_us": ("duration_us",),
    "duration_ns": ("duration_ns", "event.duration"),
    "cache_result": (
        "cache_result", "upstream_cache_status", "cache_status", "CacheCacheStatus", "x-edge-result-type", "fastly_cache_status",
    ),
    "edge": ("edge", "x-edge-location", "EdgeColoCode", "fastly_server", "pop"),
    **{
        f"cmcd_{name}": (
            f"cmcd_{name}", f"http_cmcd_{name}", f"request.headers.CMCD-{name.capitalize()}", f"request.headers.Cmcd-{name.capitalize()}",
            f"request_CMCD-{name.capitalize()}", f"request_Cmcd-{name.capitalize()}", f"cs(CMCD-{name.capitalize()})", f"cmcd-{name}",
        )
        for name in ("object", "request", "session", "status")
    },
    "lo": ("lo", "sc-range-start"),
    "hi": ("hi", "sc-range-end"),
    "bytes_sent": (
        "body_bytes_sent", "http.response.body.bytes", "size", "bytes", "DownstreamContentSize", "EdgeResponseBodyBytes",
        "response.body_bytes_sent", "response.length", "network.bytes_written", "http.response.body.size",
        "response.bytes", "bytes_out_body", "response_body_size", "response_body_bytes", "body_bytes",
    ),
    "all_bytes_sent": ("bytes_sent", "http.response.bytes", "sc-bytes", "EdgeResponseBytes", "response.size", "bytes_read", "http.response.size", "response_bytes"),
    "total_bytes": ("total_bytes", "object_size"),
    "ended": (
        "ended", "request_completion", "completion", "response_flags", "connection_status", "x-edge-detailed-result-type",
        "termination_state",
    ),
}  # fmt: skip
"""Field to the paths tried in this order; dots go into nested objects, but a key with dots in it is found first. Where a line has none
of them, a key is taken that differs from one in case, or in `_`, `-` and dots: `RemoteAddr`, `user-agent`.

`path` and `query` make a request where there is no whole one; `all_bytes_sent` counts the headers, too, and is read where
the body's own bytes are not there. With a map of one's own, `bytes_sent` is what one says it is. `content_length` is the size of
the file where a GET is answered 200. `content_encoding` and `content_type` stand here beside the fields that Parsed has, and so do
those that only app.domain.extras knows. A bare `host` is no virtual host here: many loggers write the machine's or the client's name
there. Profiles know whose it is.
"""


class Profile(NamedTuple):
    """How one writer names its fields."""

    name: str
    marks: tuple[str, ...]
    """Keys that its lines have; a tuple of keys parted by `|` needs one of them."""
    paths: Mapping[str, tuple[str, ...]]
    """Field to paths, as in json_fields.FIELDS; an empty tuple: this writer does not have it, whatever a key is called."""
    agent_is_encoded: bool = False
    """The agent is percent-encoded."""
    frames_counted: bool = False
    """Over HTTP/2 its bytes of the body count frame heads, too."""
    announced: bool = False
    """Its bytes are the size of the answer."""
    operations: Mapping[str, str] = {}
    """Names that it has for methods."""
    bare_paths: bool = False
    """Its paths begin without a slash."""
    query_object: str = ""
    """The key of an object of the query's parameters."""

    def fits(self, keys: Container[str]) -> bool:
        """Whether a line with these keys is one of this writer's."""
        return all(any(key in keys for key in mark.split("|")) for mark in self.marks)


_NO_RANGE = {"range": _NONE, "lo": _NONE, "hi": _NONE}
_GOOGLE = {
    "time": ("timestamp", "receiveTimestamp"),
    "ip_address": ("httpRequest.remoteIp",),
    "user_agent": ("httpRequest.userAgent",),
    "request": _NONE,
    "method": ("httpRequest.requestMethod",),
    "path": ("httpRequest.requestUrl",),
    "status": ("httpRequest.status",),
    "protocol": ("httpRequest.protocol",),
    "bytes_sent": _NONE,
    "all_bytes_sent": ("httpRequest.responseSize",),
    "ended": ("jsonPayload.statusDetails",),
    "duration_s": ("httpRequest.latency",),
    "referer": ("httpRequest.referer",),
    "virtual_host": _NONE,
    "content_range": ("jsonPayload.contentRange",),
    **_NO_RANGE,
}

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            "nginx",
            ("remote_addr", "body_bytes_sent|request_uri|http_user_agent"),
            {
                # $content_length and $content_type are those of the request
                "content_length": ("sent_http_content_length",),
                "content_type": ("sent_http_content_type",),
                "bytes_sent": ("body_bytes_sent",),
                "all_bytes_sent": ("bytes_sent",),
                "range": _NONE,
                # $host is certain only where nothing else names it: some write $hostname there
                "virtual_host": ("virtual_host", "vhost", "http_host", "server_name", "host"),
            },
        ),
        Profile(
            "caddy",
            ("request", "resp_headers|common_log|logger"),
            {
                "time": ("ts", "time"),
                "request": _NONE,
                "method": ("request.method",),
                "path": ("request.uri",),
                "ip_address": ("request.client_ip", "request.remote_ip", "request.remote_addr"),
                "user_agent": ("request.headers.User-Agent",),
                "protocol": ("request.proto",),
                "forwarded": ("request.headers.X-Forwarded-For",),
                "status": ("status",),
                "bytes_sent": ("size",),
                "all_bytes_sent": _NONE,
                "duration_s": ("duration",),
                **_NO_RANGE,
            },
        ),
        Profile(
            "traefik",
            ("DownstreamStatus|DownstreamContentSize", "RequestPath|RequestMethod|ClientHost"),
            {
                "ip_address": ("ClientHost", "ClientAddr"),
                "content_range": ("downstream_Content-Range",),
                "content_length": ("downstream_Content-Length",),
                "content_encoding": ("downstream_Content-Encoding",),
                "content_type": ("downstream_Content-Type",),
                "protocol": ("RequestProtocol",),
                "duration_ns": ("Duration",),
                "forwarded": ("request_X-Forwarded-For",),
                **_NO_RANGE,
            },
        ),
        Profile(
            "envoy",
            (
                "response_code|responseCode",
                "response_flags|downstream_remote_address|downstream_remote_address_without_port|start_time"
                "|responseFlags|downstreamRemoteAddress",
            ),
            {
                "time": ("start_time", "time", "@timestamp", "timestamp"),
                "ip_address": (
                    "downstream_direct_remote_address_without_port",
                    "downstream_remote_address_without_port",
                    "downstream_remote_address",
                    "clientAddress",
                ),
                "user_agent": ("user_agent", "user-agent", "req_user_agent"),
                "method": ("method", "req_method", "http_method"),
                "path": ("x_envoy_original_path", "x-envoy-origin-path", "x-envoy-original-path", "path", "req_path"),
                "status": ("response_code",),
                "protocol": ("protocol",),
                "forwarded": ("x_forwarded_for", "x-forwarded-for"),
                "ended": ("response_flags", "response_flags_long", "responseFlags", "responseFlagsLong"),
                "duration_ms": ("duration",),
                # Envoy counts the body alone
                "bytes_sent": ("bytes_sent",),
                "all_bytes_sent": _NONE,
                **_NO_RANGE,
            },
        ),
        Profile(
            "cloudflare",
            ("ClientRequestMethod|ClientRequestURI|ClientRequestPath", "EdgeResponseStatus|EdgeStartTimestamp"),
            {
                "time": ("EdgeStartTimestamp", "EdgeEndTimestamp"),
                "ip_address": ("ClientIP",),
                "user_agent": ("ClientRequestUserAgent",),
                "method": ("ClientRequestMethod",),
                "path": ("ClientRequestURI", "ClientRequestPath"),
                "status": ("EdgeResponseStatus",),
                "protocol": ("ClientRequestProtocol",),
                "content_type": ("EdgeResponseContentType",),
                "content_range": ("ResponseHeaders.content-range",),
                "content_length": ("ResponseHeaders.content-length",),
                "content_encoding": ("ResponseHeaders.content-encoding",),
                "duration_ms": ("EdgeTimeToLastByteMs",),
                "bytes_sent": ("EdgeResponseBodyBytes",),
                "all_bytes_sent": ("EdgeResponseBytes",),
                **_NO_RANGE,
            },
        ),
        Profile(
            "fastly",
            ("response_status", "response_body_size|fastly_server|fastly_is_edge|request_user_agent"),
            {
                "time": ("timestamp", "time_start", "time"),
                "ip_address": ("client_ip",),
                "user_agent": ("request_user_agent",),
                "method": ("request_method",),
                "path": ("url", "request_url"),
                "status": ("response_status",),
                "protocol": ("request_protocol",),
                "content_range": ("response_content_range", "content_range", "resp_content_range"),
                "content_length": ("response_content_length", "content_length"),
                "content_encoding": ("response_content_encoding", "content_encoding"),
                "content_type": ("response_content_type", "content_type"),
                "virtual_host": ("host", "request_host"),
                "duration_us": ("time_elapsed",),
                "referer": ("request_referer",),
                "bytes_sent": ("response_body_size",),
                "all_bytes_sent": ("response_size", "response_bytes"),
                **_NO_RANGE,
            },
        ),
        Profile(
            "akamai",
            ("reqTimeSec|reqPath", "cliIP|statusCode"),
            {
                "time": ("reqTimeSec",),
                "ip_address": ("cliIP",),
                "user_agent": ("UA",),
                "method": ("reqMethod",),
                "path": ("reqPath",),
                "query": ("queryStr",),
                "status": ("statusCode",),
                "protocol": ("proto",),
                "content_type": ("rspContentType",),
                "content_range": ("contentRange", "rspContentRange"),
                "content_length": ("rspContentLen",),
                "content_encoding": ("contentEncoding",),
                "bytes_sent": ("bytes",),
                "all_bytes_sent": ("totalBytes",),
                "ended": ("errorCode",),
                "duration_ms": ("transferTimeMSec",),
                "virtual_host": ("reqHost",),
                "cache_result": ("cacheStatus",),
                "edge": ("edgeIP",),
                "total_bytes": _NONE,
                # `range` is what the client asked for
                **_NO_RANGE,
            },
            agent_is_encoded=True,
            frames_counted=True,
            bare_paths=True,
        ),
        Profile(
            "google",
            ("httpRequest", "insertId|logName|resource|receiveTimestamp"),
            _GOOGLE,
        ),
        Profile(
            "google-like",
            ("httpRequest",),
            _GOOGLE,
            # programs that write as Google reads: many of them count the body
            announced=True,
        ),
        Profile(
            "azure-storage",
            ("operationName", "statusCode", "uri", "callerIpAddress"),
            {
                "time": ("time", "TimeGenerated"),
                "ip_address": ("callerIpAddress",),
                "user_agent": ("properties.userAgentHeader",),
                "request": _NONE,
                "method": ("operationName",),
                "path": ("uri",),
                "status": ("statusCode",),
                "protocol": _NONE,
                "bytes_sent": ("properties.responseBodySize",),
                "all_bytes_sent": _NONE,
                "duration_ms": ("durationMs",),
                "referer": ("properties.referrerHeader",),
                "virtual_host": _NONE,
                "ended": ("statusText",),
                **_NO_RANGE,
            },
            operations={"GetBlob": "GET", "GetFile": "GET", "ReadFile": "GET", "GetBlobProperties": "HEAD"},
        ),
        Profile(
            "azure",
            ("properties", "category|operationName|resourceId"),
            {
                "time": ("time", "timeStamp"),
                "ip_address": ("properties.clientIp", "properties.clientIP", "properties.socketIp", "properties.CIp"),
                "user_agent": ("properties.userAgent", "properties.UserAgent"),
                "request": _NONE,
                "method": ("properties.httpMethod", "properties.CsMethod"),
                "path": ("properties.requestUri", "properties.requestURI", "properties.CsUriStem"),
                "query": ("properties.requestQuery", "properties.CsUriQuery"),
                "status": ("properties.httpStatusCode", "properties.httpStatus", "properties.ScStatus"),
                "protocol": ("properties.httpVersion", "properties.Protocol"),
                "bytes_sent": _NONE,
                "all_bytes_sent": ("properties.responseBytes", "properties.sentBytes", "properties.ScBytes"),
                "ended": ("properties.errorInfo", "properties.error_info", "properties.ScWin32Status"),
                "duration_s": ("properties.timeTaken",),
                "duration_ms": ("properties.TimeTaken",),
                "referer": ("properties.referer", "properties.referrer"),
                "virtual_host": (
                    "properties.hostName",
                    "properties.host",
                    "properties.originalHost",
                    "properties.CsHost",
                ),
                "cache_result": ("properties.cacheStatus",),
                "edge": ("properties.pop",),
                **_NO_RANGE,
            },
        ),
        Profile(
            "minio",
            ("api", "requestPath", "remotehost|requestHeader"),
            {
                "time": ("time",),
                "ip_address": ("remotehost",),
                "user_agent": ("userAgent",),
                "request": _NONE,
                "method": ("api.name",),
                "path": ("requestPath",),
                "status": ("api.statusCode",),
                "bytes_sent": ("api.tx",),
                "all_bytes_sent": _NONE,
                "content_range": ("responseHeader.Content-Range",),
                "content_length": ("responseHeader.Content-Length",),
                "content_encoding": ("responseHeader.Content-Encoding",),
                "content_type": ("responseHeader.Content-Type",),
                "referer": ("requestHeader.Referer",),
                "virtual_host": ("requestHost",),
                "forwarded": _NONE,
                **_NO_RANGE,
            },
            operations={"GetObject": "GET", "HeadObject": "HEAD"},
            query_object="requestQuery",
        ),
        Profile(
            "cloudfront",
            ("x-edge-location|x-edge-result-type", "cs-uri-stem"),
            {
                "lo": ("sc-range-start",),
                "hi": ("sc-range-end",),
                "bytes_sent": _NONE,
                "all_bytes_sent": ("sc-bytes",),
                "ended": ("x-edge-detailed-result-type", "x-edge-result-type"),
            },
            agent_is_encoded=True,
        ),
        Profile(
            "tomcat",
            ("requestHeaders|logicalUserName", "statusCode", "request"),
            {
                "ip_address": ("host", "remoteAddr"),
                "user_agent": ("requestHeaders.User-Agent", "requestHeaders.user-agent"),
                "referer": ("requestHeaders.Referer", "requestHeaders.referer"),
                "status": ("statusCode",),
                "bytes_sent": ("size", "byteSentNC"),
                "content_range": ("responseHeaders.Content-Range",),
                "content_length": ("responseHeaders.Content-Length",),
                "content_encoding": ("responseHeaders.Content-Encoding",),
                "content_type": ("responseHeaders.Content-Type",),
                "virtual_host": ("localServerName",),
                **_NO_RANGE,
            },
            # with sendfile, Tomcat's default, it is the size of the answer whatever was sent
            announced=True,
        ),
        Profile(
            "vercel",
            ("proxy", "deploymentId|projectId"),
            {
                "time": ("proxy.timestamp", "timestamp"),
                "ip_address": ("proxy.clientIp",),
                "user_agent": ("proxy.userAgent",),
                "request": _NONE,
                "method": ("proxy.method",),
                "path": ("proxy.path",),
                "status": ("proxy.statusCode",),
                "bytes_sent": ("proxy.responseByteSize",),
                "all_bytes_sent": _NONE,
                "referer": ("proxy.referer",),
                "virtual_host": ("proxy.host",),
                "cache_result": ("proxy.vercelCache",),
                "edge": ("proxy.region",),
                **_NO_RANGE,
            },
            announced=True,
        ),
        Profile(
            "appengine",
            ("protoPayload",),
            {
                "time": ("protoPayload.startTime", "timestamp"),
                "ip_address": ("protoPayload.ip",),
                "user_agent": ("protoPayload.userAgent",),
                "request": _NONE,
                "method": ("protoPayload.method",),
                "path": ("protoPayload.resource",),
                "status": ("protoPayload.status",),
                "protocol": ("protoPayload.httpVersion",),
                "bytes_sent": ("protoPayload.responseSize",),
                "all_bytes_sent": _NONE,
                "duration_s": ("protoPayload.latency",),
                "referer": ("protoPayload.referrer",),
                "virtual_host": ("protoPayload.host",),
                **_NO_RANGE,
            },
            announced=True,
        ),
        Profile(
            "ceph",
            ("operation", "http_status", "object_size"),
            # the gateway begins to count behind the heads
            {"bytes_sent": ("bytes_sent",), "all_bytes_sent": _NONE, "duration_ms": ("total_time",), **_NO_RANGE},
        ),
        Profile(
            "pino",
            ("req", "res", "responseTime"),
            # it names the heads of the response alone
            {
                "bytes_sent": _NONE,
                "all_bytes_sent": _NONE,
                "ended": ("msg",),
                "duration_ms": ("responseTime",),
                **_NO_RANGE,
            },
            announced=True,
        ),
        Profile(
            "bunyan",
            ("req", "res", "latency"),
            {"bytes_sent": _NONE, "all_bytes_sent": _NONE, "duration_ms": ("latency",), **_NO_RANGE},
            announced=True,
        ),
        Profile(
            "logback",
            ("requested_url", "remote_host"),
            {"bytes_sent": ("content_length",), "content_length": _NONE, "duration_ms": ("elapsed_time",), **_NO_RANGE},
            announced=True,
        ),
        Profile(
            "ltsv",
            ("ltsv",),  # no key of JSON: the format of this name alone reads it so
            {
                "ip_address": ("host", "remote_addr", "client", "ip"),
                "forwarded": ("forwardedfor", "xff", "x_forwarded_for"),
                "request": ("req", "request"),
                "duration_s": ("reqtime", "request_time", "taken_sec"),
                "duration_us": ("reqtime_microsec",),
                "cache_result": ("cache", "upstream_cache_status"),
                "virtual_host": ("vhost", "server_name"),
                "range": _NONE,
            },
        ),
        Profile(
            "wildfly",
            ("requestLine", "responseCode", "bytesSent"),
            {
                "bytes_sent": ("bytesSent",),
                "all_bytes_sent": _NONE,
                "user_agent": ("requestHeader.User-Agent", "requestHeaders.User-Agent", "userAgent"),
                "content_range": ("responseHeader.Content-Range",),
                "content_length": ("responseHeader.Content-Length",),
                **_NO_RANGE,
            },
        ),
        # the parsers of Fluentd, Fluent Bit and Vector for lines of the common family: `host` is the client
        Profile(
            "fluentd",
            ("path", "code|identity", "size", "remote|host"),
            {
                "ip_address": ("remote", "client", "host"),
                "virtual_host": _NONE,
                "forwarded": ("http_x_forwarded_for",),
                **_NO_RANGE,
            },
        ),
        # Chinese CDNs: what their bytes count is not documented
        Profile(
            "alibaba-cdn",
            ("unixtime", "return_code", "client_ip|remote_ip"),
            {
                "time": ("unixtime",),
                "query": ("uri_param",),
                "bytes_sent": ("response_size",),
                "all_bytes_sent": _NONE,
                "duration_ms": ("request_time",),
                "duration_s": _NONE,
                "cache_result": ("hit_info",),
                "virtual_host": ("domain",),
                **_NO_RANGE,
            },
            announced=True,
        ),
        Profile(
            "huawei-cdn",
            ("hit_info", "http_code", "client_ip"),
            {
                "time": ("request_time",),
                "query": ("uri_param",),
                "bytes_sent": ("response_size",),
                "all_bytes_sent": _NONE,
                "content_range": ("response_range",),
                "duration_ms": ("response_time",),
                "duration_s": _NONE,
                "cache_result": ("hit_info",),
                "virtual_host": ("domain",),
                **_NO_RANGE,
            },
            announced=True,
        ),
        Profile(
            "tencent-cdn",
            ("rsp_size", "http_code", "client_ip"),
            {
                "query": ("param",),
                "bytes_sent": ("rsp_size",),
                "all_bytes_sent": _NONE,
                "duration_ms": ("request_time",),
                "duration_s": _NONE,
                "cache_result": ("hit",),
                "virtual_host": ("host",),
                **_NO_RANGE,
            },
            announced=True,
        ),
        # Docker's registry; what it counts is what it wrote
        Profile(
            "distribution",
            ("http.request.remoteaddr", "http.response.status"),
            {
                "ip_address": ("http.request.remoteaddr",),
                "user_agent": ("http.request.useragent",),
                "path": ("http.request.uri",),
                "status": ("http.response.status",),
                "bytes_sent": ("http.response.written",),
                "content_type": ("http.response.contenttype",),
                **_NO_RANGE,
            },
        ),
        # Datadog's names, and what people add to them
        Profile(
            "datadog",
            ("http", "network"),
            {
                "path": ("http.url", "http.uri", "url.path", "url.original"),
                "content_range": ("http.content_range", "http.response.headers.content-range"),
            },
        ),
        Profile(
            "apigateway",
            ("httpMethod|routeKey", "responseLength", "requestTime|requestTimeEpoch"),
            {"bytes_sent": ("responseLength",), "path": ("path", "rawPath", "resourcePath"), **_NO_RANGE},
            announced=True,
        ),
    )
}


def profile_of(keys: Container[str]) -> Profile | None:
    """The writer of a line with these keys, or None where nothing tells."""
    return next((profile for profile in PROFILES.values() if profile.fits(keys)), None)
