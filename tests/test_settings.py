"""Secrets of the settings are in no output, no log and no error."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app import settings as settings_module
from app.errors import SettingsError, StoreError, masked
from app.process.logs import JsonFormatter, TextFormatter
from app.settings import SettingRow, load, rows
from tests import ROOT
from tests.flow.running import run_to_its_end
from tests.together import together

SECRETS = {
    "WEBLOGS_ADMIN_TOKEN": "t0ken-of-the-admin",
    "WEBLOGS_WEB_TOKEN": "t0ken-of-those-who-read",
    "WEBLOGS_WEB_WRITE_TOKEN": "t0ken-of-those-who-post",
    "WEBLOGS_USAGE_SPOOL_TOKEN": "t0ken-of-those-who-check",
    "WEBLOGS_KAFKA_PASSWORD": "kafka-pass",
    "WEBLOGS_ELASTICSEARCH_PASSWORD": "elastic-pass",
    "WEBLOGS_ELASTICSEARCH_API_KEY": "elastic-key",
    "WEBLOGS_CASSANDRA_PASSWORD": "cassandra-pass",
}
ADDRESSES = {
    "WEBLOGS_CACHE": "redis://user:redis-pass@127.0.0.1:6379/0",
    "WEBLOGS_ELASTICSEARCH_URL": "https://user:url-pass@127.0.0.1:9200",
    "WEBLOGS_BROKER": "kafka://user:broker-pass@127.0.0.1:9092",
}
HIDDEN = (*SECRETS.values(), "redis-pass", "url-pass", "broker-pass")


def test_every_password_token_and_key_of_the_settings_is_declared_secret() -> None:
    named = {row.name for row in rows() if row.name.endswith(("_PASSWORD", "_TOKEN", "_API_KEY", "_SECRET"))}
    assert named == {row.name for row in rows() if row.secret} == set(SECRETS)


def test_the_command_that_prints_settings_prints_no_secret() -> None:
    command = [sys.executable, "-m", "app", "settings"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **SECRETS, **ADDRESSES}, capture_output=True, text=True, check=True
    )
    assert "redis://user:(secret)@127.0.0.1:6379/0" in done.stdout
    assert [secret for secret in HIDDEN if secret in done.stdout + done.stderr] == []


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_no_log_line_holds_a_secret(formatter: logging.Formatter) -> None:
    load(SECRETS)
    for text in (*SECRETS.values(), *ADDRESSES.values()):
        record = logging.LogRecord("app", logging.ERROR, __file__, 1, "refused: %s", (text,), None)
        assert [secret for secret in HIDDEN if secret in formatter.format(record)] == []


def test_no_error_holds_a_secret() -> None:
    load(SECRETS)
    for text in (*SECRETS.values(), *ADDRESSES.values()):
        assert [secret for secret in HIDDEN if secret in str(StoreError(f"refused: {text}"))] == []
    with pytest.raises(SettingsError) as caught:
        load({"WEBLOGS_CASSANDRA_PORT": "kafka://user:broker-pass@host"})
    assert "broker-pass" not in str(caught.value)


def test_ordinary_words_are_not_masked_by_a_short_secret() -> None:
    load({"WEBLOGS_ADMIN_TOKEN": "a"})
    assert masked("an apple a day") == "an apple a day"


FREE = {"WEBLOGS_" + name for name in ["STORES", "DATA_DIR", "SIZES", "JSON_FIELDS", "REALTIME_FIELDS", "ADMIN_TOKEN", "WEB_TOKEN", "WEB_WRITE_TOKEN", "USAGE_ARCHIVE", "USAGE_SPOOL_TOKEN", "REPLAY", "KAFKA_USER", "KAFKA_PASSWORD", "KAFKA_CA", "KAFKA_CERT", "KAFKA_KEY", "ELASTICSEARCH_USER", "ELASTICSEARCH_PASSWORD", "ELASTICSEARCH_API_KEY", "ELASTICSEARCH_CA", "CASSANDRA_USER", "CASSANDRA_PASSWORD", "CASSANDRA_CA", "CASSANDRA_DATACENTER", "CRASH_AT"]}  # fmt: skip
"""Any printable text may be right; what it names is looked at where it is used."""
BAD = ["garbage garbage !", "\x00", "\x1b[1m", "inf", "-inf", "9" * 20, "9" * 5000]


@together("row", rows(), ids=lambda row: row.name)
def test_garbage_in_any_setting_is_refused_with_one_sentence_that_names_it(row: SettingRow) -> None:
    unprintable = [value for value in BAD if not value.isprintable()]
    words = [value for value in BAD if not value.strip("-").isalnum()]
    for value in unprintable if row.name in FREE else BAD if _is_number(row.default) else words:
        with pytest.raises(SettingsError) as caught:
            load({row.name: value})
        assert str(caught.value).startswith(row.name) and "\n" not in str(caught.value)


@together(
    ("name", "value", "allowed"),
    [
        ("PARTITIONS", "x", "a whole number from 1 to 1,024"),
        ("LINGER", "-1", "a number from 0 to 10"),
        ("WINDOW_LENGTH", "0", "a number above 0"),
        ("WEB_OPEN", "maybe", "true or false"),
        ("LOG_LEVEL", "loud", "debug, info, warning or error"),
        ("BYTES", "all", "body, with-headers or announced"),
        ("WEB_TOKEN", "short", "16 characters or more"),
        ("CASSANDRA_KEYSPACE", "9", "up to 48 small letters, digits and underscores, the first a letter"),
    ],
)
def test_a_wrong_value_is_answered_with_what_is_allowed_in_words(name: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingsError, match=rf": write {allowed}\. "):
        load({f"WEBLOGS_{name}": value})


@pytest.mark.parametrize("value", ["nan,90", "7,inf", "7,1e300"])
def test_days_of_retention_are_numbers_that_a_store_can_hold(value: str) -> None:
    with pytest.raises(SettingsError, match=rf"WEBLOGS_RETENTION='{value}': no number may be above "):
        load({"WEBLOGS_RETENTION": value})


@together("row", rows(), ids=lambda row: row.name)
def test_no_sentence_about_a_setting_shows_a_pattern_or_a_type(row: SettingRow) -> None:
    for value in ("\x00", "garbage garbage !", "-1"):
        try:
            load({row.name: value})
        except SettingsError as error:
            assert not {"regex", "`str`", "`int`", "`float`", "`bool`"} & set(str(error).split())


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


@together("row", rows(), ids=lambda row: row.name)
def test_an_empty_value_is_the_default(row: SettingRow) -> None:
    assert load({row.name: ""}) == load({})


ADDRESSED = {"WEBLOGS_BROKER": "kafka", "WEBLOGS_ELASTICSEARCH_URL": "http", "WEBLOGS_CACHE": "redis"}
ARCHIVE = "WEBLOGS_USAGE_ARCHIVE"


@pytest.mark.parametrize(("name", "scheme"), ADDRESSED.items())
def test_an_address_of_another_scheme_without_a_host_or_with_no_such_port_is_refused(name: str, scheme: str) -> None:
    for address in (
        "ftp://host:1",
        f"{scheme}://",
        f"{scheme}://:9",
        f"{scheme}://host:99999",
        f"{scheme}://host:x",
        "x",
    ):
        with pytest.raises(SettingsError, match=f"^{name}="):
            load({name: address})
    assert load({name: f"{scheme}://host:1234"})


def test_every_setting_that_holds_addresses_is_tried_with_bad_ones() -> None:
    assert {row.name for row in rows() if "://" in row.meaning or "://" in row.default} == {*ADDRESSED, ARCHIVE}


@pytest.mark.parametrize(
    "address", ["s3://", "s3://b", "s3://Bucket", "s3://bucket//a", "http://bucket", "s3:///bucket"]
)
def test_an_archive_is_a_folder_or_a_bucket(address: str) -> None:
    with pytest.raises(SettingsError, match=f"^{ARCHIVE}="):
        load({ARCHIVE: address})
    for good in ("usage", "/a b/c", "s3://bucket", "s3://my.bucket-7/a/b/"):
        assert load({ARCHIVE: good}).usage_archive == good


def test_a_worker_with_a_wrong_setting_ends_with_78_and_one_sentence(tmp_path: Path) -> None:
    """Wherever its start finds it: tests/engine/test_assembly.py has the others."""
    wrong = {"WEBLOGS_WEB_PORT": "99999", "WEBLOGS_DATA_DIR": str(tmp_path)}
    done = run_to_its_end(os.environ | wrong)
    assert done.returncode == 78, done.stderr
    assert "Traceback" not in done.stderr and "Worker stopped: " in done.stderr + done.stdout


def test_what_is_no_setting_is_refused() -> None:
    assert settings_module.PREFIX == "WEBLOGS_"
    with pytest.raises(SettingsError, match="WEBLOGS_NO_SUCH is no setting"):
        load({"WEBLOGS_NO_SUCH": "1"})


def test_text_of_others_cannot_look_like_a_record_of_the_log() -> None:
    hostile = "GET /\n2026-01-01T00:00:00Z ERROR   app: made up \x1b[31m\r2026"
    record = logging.LogRecord("app", logging.INFO, __file__, 1, "asked %s", (hostile,), None)
    lines = TextFormatter().format(record).split("\n")
    assert [line for line in lines if re.match(r"\d{4}-", line)] == lines[:1]
    assert "\x1b" not in "".join(lines) and "\r" not in "".join(lines)


@together("row", [row for row in rows() if row.secret], ids=lambda row: row.name)
def test_a_secret_with_a_line_end_is_refused_without_being_shown(row: SettingRow) -> None:
    for secret in ("s3cret-of-somebody\n", "\x1bs3cret-of-somebody", "s3cret-of-somebody\ud800"):
        with pytest.raises(SettingsError) as told:
            load({row.name: secret})
        assert row.name in str(told.value) and "s3cret" not in str(told.value)


@pytest.mark.parametrize(
    "name", ["WEBLOGS_WEB_TOKEN", "WEBLOGS_WEB_WRITE_TOKEN", "WEBLOGS_ADMIN_TOKEN", "WEBLOGS_USAGE_SPOOL_TOKEN"]
)
def test_a_token_that_no_client_can_send_is_refused(name: str) -> None:
    for token in (" " * 20, "t0ken-of-those-who-read ", " t0ken-of-those-who-read"):
        with pytest.raises(SettingsError, match=name) as told:
            load({name: token})
        assert "t0ken" not in str(told.value)


def test_sizes_are_learned_only_where_raw_hits_are_kept() -> None:
    assert load({"WEBLOGS_LEARN_SIZES": "0.5"}).learn_sizes == 0.5
    for kept in ("rejected", "none"):
        with pytest.raises(SettingsError, match=r"^WEBLOGS_LEARN_SIZES=1: .* set WEBLOGS_STORE_RAW=all$"):
            load({"WEBLOGS_LEARN_SIZES": "1", "WEBLOGS_STORE_RAW": kept})


@pytest.mark.parametrize("text", ["csv:a,b", "csv:", "%", "$nothing"])
def test_a_format_that_reads_no_line_is_refused_when_settings_are_read(text: str) -> None:
    with pytest.raises(SettingsError, match="WEBLOGS_FORMAT="):
        load({"WEBLOGS_FORMAT": text})
