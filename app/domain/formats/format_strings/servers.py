"""The servers whose format strings are known, and which of them a text is for."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from app.domain.formats.format_strings import apache, caddy, envoy, haproxy, nginx, squid
from app.domain.formats.format_strings.words import FormatTextError, Piece, Variable

__all__ = ["SERVERS", "Server", "Text", "text_of"]


class Server(NamedTuple):
    """One server's way to write a format string."""

    name: str
    pieces: Callable[[str], list[Piece]]
    """From a text to its pieces."""
    named: dict[str, str]
    """Formats that it knows by name."""
    shown: dict[str, str]
    """The words to write for what a format cannot do without."""


def _shown(time: str, client: str, request: str, status: str) -> dict[str, str]:
    return {"time": time, "client": client, "request": request, "status": status}


_APACHE_WORDS = _shown("%t", "%h", '"%r"', "%>s")
SERVERS = {
    server.name: server
    for server in (
        Server("nginx", nginx.pieces, nginx.NAMED, _shown("$time_local", "$remote_addr", '"$request"', "$status")),
        *(
            Server(name, partial(apache.pieces, server=name), apache.NAMED[name], _APACHE_WORDS)
            for name in apache.WORDS
        ),
        Server("haproxy", haproxy.pieces, haproxy.NAMED, _shown("%trl", "%ci", "%{+Q}r", "%ST")),
        Server("squid", squid.pieces, squid.NAMED, _shown("%ts.%03tu", "%>a", "%rm %ru", "%>Hs")),
        Server(
            "envoy",
            envoy.pieces,
            envoy.NAMED,
            _shown(
                "%START_TIME%",
                "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
                "%REQ(:METHOD)% %REQ(:PATH)%",
                "%RESPONSE_CODE%",
            ),
        ),
        Server(
            "caddy",
            caddy.pieces,
            caddy.NAMED,
            _shown("{ts}", "{request>remote_ip}", "{request>method} {request>uri}", "{status}"),
        ),
    )
}
"""Name to server. Of servers that read a text equally well the first is taken: a plain `%b` is Apache's."""

_PREFIX = re.compile(rf"\s*({'|'.join(SERVERS)}):(?=.)", re.DOTALL)
_QUOTED_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_TELLING = {
    "jetty": re.compile(r"%\{(?:client|server|local|remote)\}[ap]|%\{CLF\}[ISO]"),
    "undertow": re.compile(r"%\{[ioc],"),
}
"""What only one of those who took over Apache's letters writes."""
_DIRECTIVES = {
    "nginx": re.compile(r"\s*log_format\s+\S+\s+(?:escape=(?P<escape>\w+)\s+)?(?=['\"])", re.DOTALL),
    "apache": re.compile(r"\s*LogFormat\s+(?=['\"])", re.IGNORECASE),
    "lighttpd": re.compile(r"\s*accesslog\.format\s*=\s*(?=\")"),
    "haproxy": re.compile(r"(?P<above>(?:[^\n]*\bcapture [^\n]*\n)*)\s*log-format\s+(?=['\"])"),
    "h2o": re.compile(r"\s*format:\s*(?=['\"])"),
}
_SQUID_DIRECTIVE = re.compile(r"\s*logformat\s+\S+\s+(?=\S*%)")
_ESCAPE = re.compile(r"\s*escape=(\w+)\s+")


class Text(NamedTuple):
    """A format string without what stands around it."""

    server: Server
    text: str

    @property
    def name(self) -> str:
        """The whole of it in one line of configuration, from which the same text is made again."""
        return f"{self.server.name}:{self.text}"


def text_of(given: str) -> Text:
    """The server and its text: from `nginx:TEXT`, from a line of its configuration, by name, or told by the words.

    >>> text_of('log_format main "$remote_addr";').name, text_of('apache:common').text, text_of('%ci %ST').server.name
    ('nginx:$remote_addr', '%h %l %u %t "%r" %>s %b', 'haproxy')
    """
    prefix = _PREFIX.match(given)
    server = SERVERS[prefix[1]] if prefix else None
    rest = given[prefix.end() :] if prefix else given
    for name, directive in _DIRECTIVES.items():
        found = directive.match(rest)
        if found:
            above = found.groupdict().get("above") or ""
            return Text(server or SERVERS[name], above + _unquoted(rest[found.end() :], joined=name == "nginx"))
    found = _SQUID_DIRECTIVE.match(rest)
    if found:
        return Text(server or SERVERS["squid"], rest[found.end() :].strip())
    escape = _ESCAPE.match(rest)
    rest = rest[escape.end() :] if escape else rest
    text = _plain(rest)
    if server is not None:
        return Text(server, server.named.get(text, text))
    owners = [each for each in SERVERS.values() if text in each.named]
    if len(owners) == 1:
        return Text(owners[0], owners[0].named[text])
    if owners:
        raise FormatTextError(
            f"{text!r} is a format of several servers: say {' or '.join(f'{each.name}:{text}' for each in owners)}"
        )
    return Text(_server_of(text), text)


def _unquoted(rest: str, *, joined: bool) -> str:
    """The first quoted text, or all of them as one, with their escapes undone."""
    found = _QUOTED_TEXT.findall(rest)
    texts = [_plain(single or double) for single, double in found]
    if not texts:
        raise FormatTextError(f"the text of the format has no closing quote: {rest[:60]!r}")
    return "".join(texts) if joined else texts[0]


def _plain(text: str) -> str:
    r"""Without the escapes that configuration files ask for: `\"` is a quote, `\t` a tab."""
    return re.sub(r"\\([\"'\\ tn])", lambda found: {"t": "\t", "n": ""}.get(found[1], found[1]), text).strip("\r\n")


def _server_of(text: str) -> Server:
    """The server whose words these are: the one whose known words are most of the text."""
    for name, telling in _TELLING.items():
        if telling.search(text):
            return SERVERS[name]
    best, most = None, 0
    for server in SERVERS.values():
        words = [piece for piece in server.pieces(text) if isinstance(piece, Variable)]
        score = sum(len(word.name) if word.known else -2 * len(word.name) for word in words)
        if score > most:
            best, most = server, score
    if best is None:
        raise FormatTextError(
            f"no word of a server stands in {text[:60]!r}: write its log format as it is configured, with $words or %words, "
            f"after {', '.join(f'{name}:' for name in SERVERS)} where they do not tell which server it is"
        )
    return best
