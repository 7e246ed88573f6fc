"""Set-ups beyond the page's, whose lines and truth are kept in tests/data/cases/servers_more.jsonl."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.servers.cases import CASES, MORE_CASES
from tests.servers.certificate import Certificate
from tests.servers.files import TEXT
from tests.servers.running import run_cases, written_lines
from tests.servers.web_servers import Apache, Caddy, Haproxy, Lighttpd, Nginx, Squid, WebServer

__all__ = ["SETUPS", "corpus"]

_APACHE = '%h %l %u %t "%r" %>s {} "%{{Referer}}i" "%{{User-Agent}}i" "%{{Content-Range}}o"'
_NGINX = '$remote_addr - $remote_user [$time_local] "$request" $status {} "$http_referer" "$http_user_agent" "$sent_http_content_range"'
_NGINX_RANGES = _NGINX.format("$body_bytes_sent")
_HAPROXY = '%ci - - [%trl] %{+Q}r %ST %B "-" "%[capture.req.hdr(0)]" "%[capture.res.hdr(0)]" %ts'
_SQUID = '%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" "%{Content-Range}<h" %Ss'
_JSON = (
    '{"time":"$time_iso8601","remote_addr":"$remote_addr","request":"$request","status":$status,"bytes_sent":$bytes_sent,'
    '"http_user_agent":"$http_user_agent","sent_http_content_range":"$sent_http_content_range"}'
)
RANGES = "combined_range"
_NGINX_FORMS = {
    "ranges": (_NGINX_RANGES, RANGES, "body"),
    "ranges_ended": (f'{_NGINX_RANGES} "$request_completion"', RANGES, "body"),
    "no_ranges": (_NGINX_RANGES.rpartition(" ")[0], "combined", "body"),
    "ranges_heads": (_NGINX.format("$bytes_sent"), RANGES, "with-headers"),
    "json_heads": (_JSON, "json", "with-headers"),
}
_NGINX_TWO = {name: _NGINX_FORMS[name] for name in ("ranges", "ranges_ended")}
_APACHE_FORMS = {
    "ranges_out": (_APACHE.format("%O"), RANGES, "with-headers"),
    "ranges_out_ended": (f"{_APACHE.format('%O')} %X", RANGES, "with-headers"),
    "ranges_size": (_APACHE.format("%b"), RANGES, "announced"),
    "ranges_size_ended": (f"{_APACHE.format('%b')} %X", RANGES, "announced"),
    "no_ranges": (_APACHE.format("%O").rpartition(" ")[0], "combined", "with-headers"),
}


class CachingNginx(Nginx):
    """A cache in front of another nginx."""

    def start(self) -> None:
        self.origin = Nginx(self.folder / "origin", self.files, self.certificate)
        self.origin.start()
        self._programs.extend(self.origin._programs)
        self.extra = f"location / {{ proxy_pass {self.origin.url}; proxy_cache kept; proxy_cache_valid 200 1h; }}"
        self.forms[-1] = _with_line(self.forms[-1], f"proxy_cache_path {self.folder}/kept keys_zone=kept:1m;")
        super().start()


class ForwardingCaddy(Caddy):
    """In front of an nginx."""

    def start(self) -> None:
        self.origin = Nginx(self.folder / "origin", self.files, self.certificate)
        self.origin.start()
        self._programs.extend(self.origin._programs)
        self.extra = f"reverse_proxy {self.origin.url}"
        super().start()


def _with_line(form: Any, line: str) -> Any:
    from dataclasses import replace

    return replace(form, lines=f"{form.lines}\n{line}")


SETUPS: dict[str, tuple[type[WebServer], dict[str, Any]]] = {
    "nginx": (Nginx, {"more_forms": _NGINX_FORMS}),
    "nginx_plain_writes": (
        Nginx,
        {"extra": "sendfile off; gzip_static on; output_buffers 2 32k;", "more_forms": _NGINX_TWO},
    ),
    "nginx_sendfile": (
        Nginx,
        {"extra": "sendfile on; tcp_nopush on; limit_rate 30m; keepalive_requests 1;", "more_forms": _NGINX_TWO},
    ),
    "nginx_cache": (CachingNginx, {"more_forms": _NGINX_TWO}),
    "apache": (Apache, {"more_forms": _APACHE_FORMS}),
    "apache_sendfile": (
        Apache,
        {"extra": "EnableSendfile On\nKeepAlive Off\nSendBufferSize 65536", "more_forms": _APACHE_FORMS},
    ),
    "lighttpd": (Lighttpd, {}),
    "lighttpd_ranges": (
        Lighttpd,
        {"extra": 'server.network-backend = "write"', "more_forms": {"ranges": (_APACHE.format("%b"), RANGES, "body")}},
    ),
    "lighttpd_ranges_ended": (Lighttpd, {"more_forms": {"ranges": (f"{_APACHE.format('%b')} %X", RANGES, "body")}}),
    "caddy": (Caddy, {}),
    "caddy_forwarding": (ForwardingCaddy, {}),
    "haproxy": (Haproxy, {}),
    "haproxy_ranges": (
        Haproxy,
        {"extra": "option http-server-close", "more_forms": {"ranges": (_HAPROXY, RANGES, "with-headers")}},
    ),
    "squid": (Squid, {"more_forms": {"ranges": (_SQUID, RANGES, "with-headers")}}),
    "squid_fetching_all": (
        Squid,
        {
            "extra": "range_offset_limit none\nquick_abort_min -1 KB",
            "more_forms": {"ranges": (_SQUID, RANGES, "with-headers")},
        },
    ),
}
"""Name to the kind of server and its options."""


def corpus(
    folder: Path, files: Path, certificate: Certificate, names: Iterable[str], say: Callable[[str], None]
) -> Iterable[dict[str, Any]]:
    """One record for each set-up, form of log and case that leads to a delivery."""
    (files / f"{TEXT}.gz").write_bytes(gzip.compress((files / TEXT).read_bytes()))
    for name in names:
        kind, options = SETUPS[name]
        server = kind(folder / name, files, certificate, **options)
        cases = [case for case in (*CASES, *MORE_CASES) if server.http2 or not case.http2]
        outcomes = run_cases(server, cases, name)
        failed = {
            case: outcome.failure.strip().splitlines()[-1]
            for case, outcome in outcomes.items()
            if outcome.received is None
        }
        say(f"{name}: {len(outcomes) - len(failed)} cases, failed: {failed or 'none'}")
        kept = {case: outcome for case, outcome in outcomes.items() if case not in failed}
        forms = server.forms if server.logs_all_forms else server.forms[-1:]
        for form in forms:
            yield from written_lines(name, form, kept)
