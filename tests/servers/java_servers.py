"""Servers of Java, fetched with Maven: a small program each, which takes the page's pattern."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

from tests.servers.page import pasted
from tests.servers.process import program
from tests.servers.web_servers import LogForm, WebServer

__all__ = ["Jetty", "Tomcat", "TomcatWithSendfile", "Undertow"]

_PROGRAMS = Path(__file__).parent / "java"
FETCH_S = 240.0


@cache
def _jars() -> Path:
    """The servers' jars, in the folder that Maven keeps for builds. What was fetched once is not asked for again."""
    jars = Path.home() / ".m2" / "weblogs-java-servers"
    fetch = [program("mvn", "maven"), "-q", "-B", "-f", str(_PROGRAMS / "pom.xml"), "dependency:copy-dependencies"]
    fetch.append(f"-DoutputDirectory={jars}")
    offline = subprocess.run([*fetch, "-o"], capture_output=True, check=False, timeout=FETCH_S)
    if offline.returncode:
        done = subprocess.run(fetch, capture_output=True, text=True, check=False, timeout=FETCH_S)
        assert done.returncode == 0, done.stdout[-3000:]
    return jars


@dataclass
class _JavaServer(WebServer):
    """Over HTTP/1.1, without TLS."""

    program: ClassVar[str] = "java"
    package: ClassVar[str] = "openjdk-17-jdk-headless"
    http2: ClassVar[bool] = False
    main: ClassVar[str]
    """The program's source."""
    words: ClassVar[str]
    """The server's name before a format string."""
    byte_column: ClassVar[str] = "body"

    @staticmethod
    def pattern() -> str:
        """The page's."""
        raise NotImplementedError

    def page_form(self) -> LogForm:
        text = self.pattern()
        options = ("--log-format", f"{self.words}:{text}")
        return LogForm("page", text, self.log("page"), "combined_range", options, self.byte_column)

    def arguments(self) -> list[str]:
        return [str(self.files), str(self.forms[0].log), self.forms[0].lines]

    def configure(self) -> list[str]:
        source = str(_PROGRAMS / self.main)
        return ["java", "-Xmx256m", "-cp", f"{_jars()}/*", source, str(self.port), *self.arguments()]

    def start(self) -> None:
        self.tls_port = self.port
        super().start()


class Tomcat(_JavaServer):
    name, main, words = "tomcat", "TomcatServer.java", "tomcat-no-sendfile"
    servlet: ClassVar[tuple[str, ...]] = ("sendfileSize=-1",)

    @staticmethod
    def pattern() -> str:
        return ElementTree.fromstring(pasted("Tomcat")).attrib["pattern"]

    def arguments(self) -> list[str]:
        log = self.forms[0].log
        return [str(self.files), str(self.folder), str(log), self.forms[0].lines, *self.servlet]


class TomcatWithSendfile(Tomcat):
    """As it is if nobody configures it."""

    name, words, byte_column = "tomcat_sendfile", "tomcat", "announced"
    servlet = ()


class Jetty(_JavaServer):
    name, main, words, byte_column = "jetty", "JettyServer.java", "jetty", "announced"

    @staticmethod
    def pattern() -> str:
        found = re.search(r"^jetty\.requestlog\.formatString=(.*)$", pasted("Jetty"), re.MULTILINE)
        assert found, "no formatString below the heading Jetty"
        return found[1]


class Undertow(_JavaServer):
    name, main, words = "undertow", "UndertowServer.java", "undertow"

    @staticmethod
    def pattern() -> str:
        return ElementTree.fromstring(pasted("Undertow")).attrib["pattern"]
