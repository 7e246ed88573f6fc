"""`--log-format` and `--server-config`, run as people run them, and the page that shows them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.__main__ import main
from app.errors import SettingsError
from app.messages.headers import Headers
from app.settings import load, settings
from app.sources.files.read_options import ReadOptions
from app.sources.files.server_config import configured_format
from app.sources.identity.identifier import Identifier
from app.sources.identity.registry import FolderRegistry
from app.sources.replay.run import ReplayOptions, replay_files
from tests.sources.logs import MemoryLog

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "read-any-log-format.md"
TEXT = '$remote_addr [$time_local] "$request" $status $body_bytes_sent "$sent_http_content_range" $request_completion'
LINES = (
    '203.0.113.9 [31/Jul/2020:16:46:07 +0000] "GET /a HTTP/1.1" 206 500 "bytes 0-499/1000" OK\n'
    '203.0.113.9 [31/Jul/2020:16:46:09 +0000] "GET /a HTTP/1.1" 206 500 "bytes 500-999/1000" OK\n'
)
NGINX = """
http {
  log_format ranges '$remote_addr [$time_local] "$request" '
                    '$status $body_bytes_sent "$sent_http_content_range" $request_completion';
  log_format js escape=json '{"t":"$time_iso8601","ip":"$remote_addr","r":"$request","s":$status}';
  include sites/*.conf;
}
"""
APACHE = r"""
# LogFormat "commented out" ranges
LogFormat "%h %l %u %t \"%r\" %>s %O \
    \"%{Content-Range}o\" %X" ranges
LogFormat "%h %u %t \"%r\" %>s" short
Include sites/*.conf
Include ${UNKNOWN}/other.conf
"""


@pytest.fixture(autouse=True)
def fresh_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield
    settings.cache_clear()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def configuration(tmp_path: Path, text: str, site: str) -> str:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "one.conf").write_text(site)
    path = tmp_path / "server.conf"
    path.write_text(text)
    return str(path)


def shown_blocks() -> list[tuple[str, str]]:
    """(command, output) of each console block of the page."""
    blocks = re.findall(r"^```console\n\$ (.*?)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [(command, output) for command, output in blocks]


@pytest.mark.parametrize(("command", "output"), shown_blocks(), ids=range(len(shown_blocks())))
def test_the_page_shows_what_the_commands_print(command: str, output: str, tmp_path: Path) -> None:
    for name, content in re.findall(r"^```text\n# (\S+)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(content)
    words = shlex.split(command)
    assert words[:3] == [".venv/bin/python", "-m", "app"]
    result = run(*(word for word in words[3:] if not word.startswith(">")))
    assert (result.stderr if words[-1].startswith(">") or result.exit_code else result.stdout) == output


@pytest.mark.parametrize("options", [("--log-format", TEXT), ("--format", TEXT)])
def test_reduce_answers_by_a_format_string(options: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(LINES)
    result = run("reduce", "a.log", *options, "-o", "out.jsonl", "--quiet")
    assert result.exit_code == 0, result.output
    (delivery,) = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert (delivery["verdict"], delivery["total_bytes"]) == ("complete", 1000)


def test_the_setting_gives_the_format_where_no_option_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.log").write_text(LINES)
    monkeypatch.setenv("WEBLOGS_LOG_FORMAT", TEXT)
    assert [list(json.loads(line)) for line in run("parse", "a.log").stdout.splitlines()] == [["hit"], ["hit"]]
    settings.cache_clear()
    assert json.loads(run("parse", "a.log", "-f", "common").stdout.splitlines()[0])["reject"]


@pytest.mark.parametrize(
    ("value", "told"),
    [("json", "WEBLOGS_LOG_STYLE=json"), ("$status", "no time and no client and no request"), ("%q", "%t")],
)
def test_a_setting_that_is_no_log_format_is_refused_when_it_is_read(value: str, told: str) -> None:
    with pytest.raises(SettingsError, match="WEBLOGS_LOG_FORMAT") as caught:
        load({"WEBLOGS_LOG_FORMAT": value})
    assert told in str(caught.value)


@pytest.mark.parametrize("command", ["parse", "reduce", "replay"])
def test_a_text_that_can_not_be_used_is_told_in_a_sentence(command: str, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(LINES)
    result = run(command, "a.log", "--log-format", "$status")
    assert result.exit_code != 0
    assert "--log-format: the log format of nginx gives no time and no client and no request" in result.stderr


@pytest.mark.parametrize("command", ["parse", "reduce", "replay"])
def test_two_options_that_choose_a_format_are_refused(command: str, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(LINES)
    result = run(command, "a.log", "--log-format", TEXT, "--format", "common")
    assert result.exit_code == 2
    assert "give one of them" in result.stderr


def test_a_word_that_is_passed_over_is_named_on_standard_error(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(LINES.replace(" OK", " OK x"))
    result = run("parse", "a.log", "--log-format", TEXT + " $mine")
    assert "$mine is not known" in result.stderr
    assert all("hit" in json.loads(line) for line in result.stdout.splitlines())


def test_a_replay_sends_the_text_in_the_headers_of_its_messages(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(LINES)
    to = MemoryLog()
    options = ReplayOptions(
        say=print, read=ReadOptions(format=TEXT), identifier=Identifier(FolderRegistry(tmp_path / "sources"))
    )
    assert replay_files([str(tmp_path / "a.log")], to, options).lines == 2
    assert {message.headers[Headers.FORMAT].decode() for message in to.messages} == {f"nginx:{TEXT}"}


# -- configurations


def test_nginxs_format_is_the_one_that_its_log_is_written_in(tmp_path: Path) -> None:
    path = configuration(tmp_path, NGINX, "server { access_log /var/log/nginx/access.log ranges; access_log off; }")
    (tmp_path / "a.log").write_text(LINES)
    result = run("parse", "a.log", "--server-config", path)
    assert "the log format ranges of nginx, as access_log /var/log/nginx/access.log says" in result.stderr
    assert [json.loads(line)["hit"]["lo"] for line in result.stdout.splitlines()] == [0, 500]


def test_of_several_logs_the_one_with_the_name_of_the_file_counts(tmp_path: Path) -> None:
    site = "server { access_log /var/log/one.log ranges; } server { access_log /var/log/two.log js buffer=4k; }"
    path = configuration(tmp_path, NGINX, site)
    assert configured_format(path, ["old/two.log.3.gz"]).text.startswith('nginx:{"t"')
    assert configured_format(path, ["one.log", "one.log.1"]).text.startswith("nginx:$remote_addr [")
    with pytest.raises(SettingsError, match="ranges, js"):
        configured_format(path, ["three.log"])
    with pytest.raises(SettingsError, match="ranges, js"):
        configured_format(path, ["one.log", "two.log"])


def test_a_format_is_chosen_by_its_name(tmp_path: Path) -> None:
    path = configuration(tmp_path, NGINX, "")
    assert configured_format(f"{path}:js", []).text.startswith('nginx:{"t"')
    with pytest.raises(SettingsError, match="there are combined, ranges, js"):
        configured_format(f"{path}:none", [])


def test_nginx_without_the_name_of_a_format_writes_combined(tmp_path: Path) -> None:
    path = configuration(tmp_path, NGINX, "server { access_log /var/log/access.log; }")
    assert '"$http_referer" "$http_user_agent"' in configured_format(path, []).text


def test_the_only_format_is_taken_where_no_log_is_written(tmp_path: Path) -> None:
    path = tmp_path / "snippet.conf"
    path.write_text("log_format mine '$remote_addr $status';")
    assert configured_format(str(path), []).text == "nginx:$remote_addr $status"


def test_apaches_format_is_read_over_continued_lines_and_includes(tmp_path: Path) -> None:
    path = configuration(
        tmp_path, APACHE, "<VirtualHost *:80>\n  CustomLog ${DIR}/access.log ranges env=!quiet\n</VirtualHost>\n"
    )
    found = configured_format(path, [])
    assert re.sub(" +", " ", found.text) == 'apache:%h %l %u %t "%r" %>s %O "%{Content-Range}o" %X'
    assert "as CustomLog ${DIR}/access.log says; not read: ${UNKNOWN}/other.conf" in found.said
    assert configured_format(f"{path}:short", []).text == 'apache:%h %u %t "%r" %>s'
    assert configured_format(f"{path}:combined", []).text.endswith('%b "%{Referer}i" "%{User-Agent}i"')


def test_apaches_log_may_spell_its_format_itself(tmp_path: Path) -> None:
    path = configuration(tmp_path, APACHE, 'CustomLog "logs/access_log" "%h %t \\"%r\\" %>s %b"\n')
    assert configured_format(path, []).text == 'apache:%h %t "%r" %>s %b'


def test_an_include_of_itself_ends(tmp_path: Path) -> None:
    path = configuration(tmp_path, APACHE + "Include server.conf\n", "Include server.conf\nCustomLog a.log short\n")
    assert configured_format(path, []).text == 'apache:%h %u %t "%r" %>s'


@pytest.mark.parametrize(
    "text", ["", "nothing {", "\x00\xff", "LogFormat", 'LogFormat "open', "CustomLog a", "log_format a;"]
)
def test_a_configuration_without_formats_is_told_in_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.conf"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"odd\.conf"):
        configured_format(str(path), [])


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match=r"none\.conf: there is no such file"):
        configured_format("none.conf", [])
