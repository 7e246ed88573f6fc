"""Secrets of the settings are in no output, no log and no error."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import settings as settings_module
from app.errors import SettingsError, StoreError, masked
from app.process.logs import JsonFormatter, TextFormatter
from app.settings import load, rows

ROOT = Path(__file__).resolve().parents[1]
SECRETS = {
    "WEBLOGS_ADMIN_TOKEN": "t0ken-of-the-admin",
    "WEBLOGS_WEB_TOKEN": "t0ken-of-those-who-read",
    "WEBLOGS_WEB_WRITE_TOKEN": "t0ken-of-those-who-post",
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


def test_what_is_no_setting_is_refused() -> None:
    assert settings_module.PREFIX == "WEBLOGS_"
    with pytest.raises(SettingsError, match="WEBLOGS_NO_SUCH is no setting"):
        load({"WEBLOGS_NO_SUCH": "1"})
