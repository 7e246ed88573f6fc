"""The servers under test: each with the lines of the page in a configuration that is otherwise as small as it can be."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.request import urlopen

from tests.ports import free_port
from tests.servers.certificate import Certificate
from tests.servers.files import ONE
from tests.servers.page import apache_format, pasted, placed, squid_format
from tests.servers.process import HOST, START_S, Program, program

__all__ = [
    "MORE_SERVERS",
    "SERVERS",
    "Apache",
    "Caddy",
    "H2o",
    "Haproxy",
    "Lighttpd",
    "LogForm",
    "Nginx",
    "Squid",
    "Varnish",
    "WebServer",
]


@dataclass(frozen=True)
class LogForm:
    """One way to log: its lines of configuration, the log file, and how `reduce` is told to read it."""

    name: str
    lines: str
    log: Path
    format: str
    """The format's name in `python -m app formats`."""
    options: tuple[str, ...] = ()
    """Further options of `python -m app reduce`."""
    byte_column: str = "body"
    """body, with-headers or announced: what the byte column counts."""


@dataclass
class WebServer:
    """Serves `files` on `port`, and on `tls_port` with TLS. `folder` is its own."""

    name: ClassVar[str]
    program: ClassVar[str]
    package: ClassVar[str]
    http2: ClassVar[bool] = True
    http2_tells: ClassVar[bool] = True
    """Whether a line of a response over HTTP/2 can prove that it was whole."""
    may_answer_whole: ClassVar[bool] = False
    """Whether it may answer a range with the whole file."""
    logs_all_forms: ClassVar[bool] = True
    """Whether it can write several logs at once; if not, the last form is written."""

    folder: Path
    files: Path
    certificate: Certificate
    extra: str = ""
    """Further lines of configuration, where the server takes its options."""
    more_forms: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Other ways to log beside the page's: name to (text in the words of the server, format, kind of the byte column)."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.port, self.tls_port = free_port(), free_port()
        self.forms = [self.page_form(), *(self.form(name, *form) for name, form in self.more_forms.items())]
        self._programs: list[Program] = []

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"https://{HOST}:{self.tls_port}"

    def page_form(self) -> LogForm:
        """The page's lines."""
        raise NotImplementedError

    def form(self, name: str, text: str, format_name: str, byte_column: str) -> LogForm:
        """Another form in the server's own words."""
        raise NotImplementedError

    @staticmethod
    def says_all_was_sent(line: str) -> bool:
        """What a line of the page's form says of its response, read here without the app."""
        raise NotImplementedError

    def configure(self) -> list[str]:
        """Writes the configuration; the command that runs the server in the foreground."""
        raise NotImplementedError

    def log_lines(self) -> str:
        return "\n".join(form.lines for form in self.forms)

    def start(self) -> None:
        self.start_program(self.configure(), [self.port, self.tls_port])

    def start_program(self, command: list[str], ports: list[int], stop: signal.Signals = signal.SIGTERM) -> None:
        made = Program([program(command[0], self.package), *command[1:]], self.folder / "printed", ports, stop)
        self._programs.append(made)
        made.start()

    def stop(self) -> None:
        """The logs are whole after that."""
        while self._programs:
            self._programs.pop().stop()

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


class Nginx(WebServer):
    name, program, package = "nginx", "nginx", "nginx-light"
    listen_options: ClassVar[str] = ""

    def page_form(self) -> LogForm:
        log = self.log("page")
        return LogForm("page", placed(pasted("nginx"), {"/var/log/nginx/weblogs.log": str(log)}), log, "json")

    def form(self, name: str, text: str, format_name: str, byte_column: str) -> LogForm:
        log = self.log(name)
        return LogForm(
            name, f"log_format {name} '{text}';\naccess_log {log} {name};", log, format_name, byte_column=byte_column
        )

    @staticmethod
    def says_all_was_sent(line: str) -> bool:
        return bool(json.loads(line)["request_completion"] == "OK")

    def configure(self) -> list[str]:
        user = "user root;" if os.geteuid() == 0 else ""
        text = f"""
{user}
worker_processes 2;
daemon off;
pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log;
events {{ worker_connections 256; }}
http {{
    types {{ text/html html; application/octet-stream bin; audio/wav wav; }}
    default_type application/octet-stream;
    {" ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))}
    gzip on;
    gzip_proxied any;
    gzip_vary on;
{self.log_lines()}
    server {{
        listen {HOST}:{self.port} {self.listen_options};
        listen {HOST}:{self.tls_port} ssl http2;
        ssl_certificate {self.certificate.certificate};
        ssl_certificate_key {self.certificate.key};
        root {self.files};
        {self.extra}
    }}
}}
"""
        return [
            "nginx",
            "-e",
            f"{self.folder}/error.log",
            "-p",
            str(self.folder),
            "-c",
            str(self.write("nginx.conf", text)),
        ]


class Apache(WebServer):
    name, program, package = "apache", "apache2", "apache2"
    http2_tells = False  # %O counts frames of HTTP/2, %X says X of whole responses now and then

    def page_form(self) -> LogForm:
        log = self.log("page")
        lines = placed(pasted("Apache"), {"/var/log/apache2/weblogs.log": str(log)})
        return LogForm("page", lines, log, "combined_range", ("--log-format", apache_format(lines)), "with-headers")

    def form(self, name: str, text: str, format_name: str, byte_column: str) -> LogForm:
        log = self.log(name)
        quoted = text.replace('"', r"\"")
        return LogForm(
            name, f'LogFormat "{quoted}" {name}\nCustomLog {log} {name}', log, format_name, byte_column=byte_column
        )

    @staticmethod
    def says_all_was_sent(line: str) -> bool:
        return line.endswith((" +", " -"))

    def configure(self) -> list[str]:
        modules = (
            "mpm_event",
            "authz_core",
            "mime",
            "filter",
            "deflate",
            "ssl",
            "socache_shmcb",
            "http2",
            "headers",
            "unixd",
        )
        folder = Path("/usr/lib/apache2/modules")
        load = "\n".join(
            f"LoadModule {each}_module {folder}/mod_{each}.so"
            for each in modules
            if (folder / f"mod_{each}.so").exists()
        )
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        text = f"""
{load}
{user}
ServerRoot {self.folder}
DefaultRuntimeDir {self.folder}
PidFile {self.folder}/apache.pid
Mutex file:{self.folder} default
ErrorLog {self.folder}/error.log
ServerName {HOST}
Listen {HOST}:{self.port}
Listen {HOST}:{self.tls_port} https
TypesConfig /dev/null
AddType text/html .html
AddType application/octet-stream .bin
AddType audio/wav .wav
AddOutputFilterByType DEFLATE text/html
DocumentRoot {self.files}
<Directory {self.files}>
    Require all granted
</Directory>
Protocols h2 h2c http/1.1
<VirtualHost {HOST}:{self.tls_port}>
    SSLEngine on
    SSLCertificateFile {self.certificate.certificate}
    SSLCertificateKeyFile {self.certificate.key}
</VirtualHost>
{self.extra}
{self.log_lines()}
"""
        return ["apache2", "-DFOREGROUND", "-f", str(self.write("apache.conf", text))]


class Lighttpd(WebServer):
    name, program, package = "lighttpd", "lighttpd", "lighttpd lighttpd-mod-openssl lighttpd-mod-deflate"
    logs_all_forms = False

    def page_form(self) -> LogForm:
        log = self.log("page")
        return LogForm("page", placed(pasted("lighttpd"), {"/var/log/lighttpd/weblogs.log": str(log)}), log, "json")

    def form(self, name: str, text: str, format_name: str, byte_column: str) -> LogForm:
        log = self.log(name)
        quoted = text.replace('"', r"\"")
        lines = f'server.modules += ( "mod_accesslog" )\naccesslog.filename = "{log}"\naccesslog.format = "{quoted}"'
        return LogForm(name, lines, log, format_name, byte_column=byte_column)

    @staticmethod
    def says_all_was_sent(line: str) -> bool:
        return json.loads(line)["ended"] in ("+", "-")

    def configure(self) -> list[str]:
        text = f"""
server.modules = ( "mod_openssl", "mod_deflate" )
server.bind = "{HOST}"
server.port = {self.port}
server.document-root = "{self.files}"
server.errorlog = "{self.folder}/error.log"
server.upload-dirs = ( "{self.folder}" )
mimetype.assign = ( ".html" => "text/html", ".bin" => "application/octet-stream", ".wav" => "audio/wav" )
deflate.mimetypes = ( "text/html" )
deflate.allowed-encodings = ( "gzip" )
deflate.cache-dir = "{self.folder}/deflate"
$SERVER["socket"] == "{HOST}:{self.tls_port}" {{
    ssl.engine = "enable"
    ssl.pemfile = "{self.certificate.certificate}"
    ssl.privkey = "{self.certificate.key}"
}}
{self.extra}
{self.forms[-1].lines}
"""
        return ["lighttpd", "-D", "-f", str(self.write("lighttpd.conf", text))]

    def start(self) -> None:
        (self.folder / "deflate").mkdir(exist_ok=True)
        super().start()


class Caddy(WebServer):
    name, program, package = "caddy", "caddy", "caddy"
    logs_all_forms = False

    def page_form(self) -> LogForm:
        log = self.log("page")
        return LogForm("page", placed(pasted("Caddy"), {"/var/log/caddy/weblogs.log": str(log)}), log, "json")

    @staticmethod
    def says_all_was_sent(line: str) -> bool:
        told = json.loads(line)
        return int(told["size"]) >= int(told["resp_headers"]["Content-Length"][0])

    def configure(self) -> list[str]:
        site = f"""
    bind {HOST}
    root * {self.files}
    encode gzip
    header *.bin Content-Type application/octet-stream
    file_server
    {self.extra}
{self.log_lines()}"""
        text = f"""
{{
    admin off
    auto_https off
    storage file_system {self.folder}/storage
}}
http://{HOST}:{self.port} {{{site}
}}
https://{HOST}:{self.tls_port} {{
    tls {self.certificate.certificate} {self.certificate.key}{site}
}}
"""
        return ["caddy", "run", "--adapter", "caddyfile", "--config", str(self.write("Caddyfile", text))]


class _Proxy(WebServer):
    """In front of an nginx that serves the files."""

    def start(self) -> None:
        self.origin = Nginx(self.folder / "origin", self.files, self.certificate)
        self.origin.start()
        self._programs.extend(self.origin._programs)
        super().start()


class Haproxy(_Proxy):
    name, program, package = "haproxy", "haproxy", "haproxy"
    logs_all_forms = False

    def page_form(self) -> LogForm:
        # it prints its log: the file is what the program prints
        return LogForm("page", pasted("HAProxy"), self.folder / "printed", "json", (), "with-headers")

    def form(self, name: str, text: str, format_name: str, byte_column: str) -> LogForm:
        page = pasted("HAProxy")
        assert "    log-format " in page
        lines = page[: page.index("    log-format ")] + f"    log-format '{text}'\n"
        return LogForm(name, lines, self.folder / "printed", format_name, byte_column=byte_column)

    @staticmethod
    def says_all_was_sent(line: str) -> bool:
        return bool(json.loads(line)["ended"] == "--")

    def configure(self) -> list[str]:
        pem = self.write("both.pem", self.certificate.certificate.read_text() + self.certificate.key.read_text())
        text = f"""
global
    maxconn 256
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend web
    bind {HOST}:{self.port}
    bind {HOST}:{self.tls_port} ssl crt {pem} alpn h2,http/1.1
    option dontlognull
{self.forms[-1].lines}
    {self.extra}
    default_backend files
backend files
    server origin {HOST}:{self.origin.port}
"""
        return ["haproxy", "-db", "-f", str(self.write("haproxy.cfg", text))]


class Squid(_Proxy):
    name, program, package = "squid", "squid", "squid-openssl"
    http2 = False
    may_answer_whole = True

    def page_form(self) -> LogForm:
        log = self.log("page")
        lines = placed(pasted("Squid"), {"/var/log/squid/weblogs.log": str(log)})
        return LogForm("page", lines, log, "combined_range", ("--log-format", squid_format(lines)), "with-headers")

    def form(self, name: str, text: str, format_name: str, byte_column: str) -> LogForm:
        log = self.log(name)
        return LogForm(
            name, f"logformat {name} {text}\naccess_log stdio:{log} {name}", log, format_name, byte_column=byte_column
        )

    @staticmethod
    def says_all_was_sent(line: str) -> bool:
        found = re.search(r'" \d{3} (\d+) .* "(\d+)" "[^"]*" "[^"]*" (\w+)$', line)
        assert found, line
        return int(found[1]) > int(found[2]) and "_ABORTED" not in found[3]

    def configure(self) -> list[str]:
        text = f"""
http_port {HOST}:{self.port} accel defaultsite={HOST}
https_port {HOST}:{self.tls_port} accel defaultsite={HOST} tls-cert={self.certificate.certificate} tls-key={self.certificate.key}
cache_peer {HOST} parent {self.origin.port} 0 no-query originserver name=files
http_access allow all
cache_mem 256 MB
maximum_object_size_in_memory 20 MB
pid_filename {self.folder}/squid.pid
cache_log {self.folder}/cache.log
coredump_dir {self.folder}
netdb_filename none
pinger_enable off
shutdown_lifetime 0 seconds
visible_hostname localhost
{"cache_effective_user proxy" if os.geteuid() == 0 else ""}
{self.extra}
{self.log_lines()}
"""
        if os.geteuid() == 0:
            shutil.chown(self.folder, "proxy")
        return ["squid", "-N", "-n", f"t{self.port}", "-f", str(self.write("squid.conf", text))]


class H2o(WebServer):
    name, program, package = "h2o", "h2o", "h2o"

    def page_form(self) -> LogForm:
        log = self.log("page")
        return LogForm("page", placed(pasted("h2o"), {"/var/log/h2o/weblogs.log": str(log)}), log, "combined_range")

    def configure(self) -> list[str]:
        text = f"""
{"user: root" if os.geteuid() == 0 else ""}
error-log: {self.folder}/error.log
listen:
  host: {HOST}
  port: {self.port}
listen:
  host: {HOST}
  port: {self.tls_port}
  ssl:
    certificate-file: {self.certificate.certificate}
    key-file: {self.certificate.key}
hosts:
  default:
    paths:
      /:
        file.dir: {self.files}
{self.forms[-1].lines}
"""
        return ["h2o", "-m", "worker", "-c", str(self.write("h2o.yaml", text))]


class Varnish(_Proxy):
    """Without TLS: Varnish has none."""

    name, program, package = "varnish", "varnishd", "varnish"
    http2 = False

    def page_form(self) -> LogForm:
        log = self.log("page")
        lines = placed(pasted("Varnish"), {"/var/log/varnish/weblogs.log": str(log)})
        return LogForm("page", lines, log, "combined_range", ("--bytes", "announced"), "announced")

    def configure(self) -> list[str]:
        cache = self.folder / "cache"
        return [
            *("varnishd", "-F", "-j", "none", "-n", str(cache), "-s", "malloc,256m", "-t", "3600"),
            *("-a", f"{HOST}:{self.port}", "-b", f"{HOST}:{self.origin.port}"),
        ]

    def start(self) -> None:
        self.tls_port = self.port
        super().start()
        command = shlex.split(self.forms[-1].lines)
        logger = Program(
            [program(command[0], self.package), "-n", str(self.folder / "cache"), *command[1:]],
            self.folder / "logger",
            [],
        )
        logger.start()
        give_up = time.monotonic() + START_S
        while not (self.forms[-1].log.exists() and self.forms[-1].log.stat().st_size):  # until it reads what is logged
            assert time.monotonic() < give_up, f"{command[0]} writes no log"
            urlopen(f"{self.url}/{ONE}", timeout=START_S).close()
            time.sleep(0.1)
        # stopped last, so that it writes all that was logged
        self._programs.insert(0, logger)


SERVERS: tuple[type[WebServer], ...] = (Nginx, Apache, Lighttpd, Caddy, Haproxy, Squid)
MORE_SERVERS: tuple[type[WebServer], ...] = (H2o, Varnish)
"""Those whose lines cannot prove all that clients do, as the page says: a test of their own tells what they prove."""
