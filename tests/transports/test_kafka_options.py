"""How the settings become the options of Kafka clients, and what is said where they cannot."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from app.errors import LogUnreachable, SettingsError
from app.flows.registry import changelog_topic, topics_of_group
from app.settings import Settings, load
from app.transports.kafka.diagnosis import unreachable
from app.transports.kafka.options import aiokafka_options, client_options, faust_credentials, servers
from app.transports.kafka.view import KafkaView
from app.transports.kafka.worker_id import worker_id


def settings(**named: str) -> Settings:
    return load({"WEBLOGS_BROKER": "kafka://127.0.0.1:1"} | {f"WEBLOGS_{name}": value for name, value in named.items()})


def test_brokers_are_separated_by_commas_and_have_a_standard_port() -> None:
    assert servers("kafka://a:1,b, [::1]:3/") == ["a:1", "b:9092", "[::1]:3"]


@pytest.mark.parametrize("broker", ["kafka://", "kafka://a,,b", "a:9092"])
def test_a_broker_url_without_hosts_is_refused(broker: str) -> None:
    with pytest.raises(SettingsError, match="kafka://HOST:PORT"):
        servers(broker)


def test_a_login_without_a_user_is_refused() -> None:
    with pytest.raises(SettingsError, match="WEBLOGS_KAFKA_USER"):
        client_options(settings(KAFKA_SECURITY="sasl_plaintext"))


def test_a_ca_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    for path in (tmp_path / "ca.pem", tmp_path / "nowhere.pem"):
        with pytest.raises(SettingsError, match=path.name):
            client_options(settings(KAFKA_SECURITY="ssl", KAFKA_CA=str(path)))


def test_user_and_password_reach_every_client() -> None:
    own = settings(KAFKA_SECURITY="sasl_plaintext", KAFKA_USER="u", KAFKA_PASSWORD="p")
    for options in (client_options(own), aiokafka_options(own)):
        assert options["sasl_plain_username"] == "u" and options["sasl_plain_password"] == "p"
        assert options["sasl_mechanism"] == "SCRAM-SHA-512" and options["security_protocol"] == "SASL_PLAINTEXT"
    credentials = faust_credentials(own)
    assert (credentials.username, credentials.password, credentials.protocol.value) == ("u", "p", "SASL_PLAINTEXT")
    assert faust_credentials(settings()) is None


def test_tls_without_login_is_ssl_for_faust() -> None:
    assert faust_credentials(settings(KAFKA_SECURITY="ssl")).protocol.value == "SSL"


def test_a_broker_that_is_not_there_is_unreachable_in_one_sentence() -> None:
    own = settings()
    with pytest.raises(LogUnreachable, match=r"Kafka at 127\.0\.0\.1:1 does not answer"):
        KafkaView(own).positions(["weblogs"])
    assert isinstance(unreachable(own, OSError("gone")), LogUnreachable)


@pytest.mark.long
def test_asking_a_broker_that_is_not_there_again_and_again_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    standing = KafkaView(settings())
    for _ in range(2):
        with pytest.raises(LogUnreachable):
            standing.positions(["weblogs"])
    assert not [
        thread for thread in threading.enumerate() if thread not in before and thread.name.startswith("kafka-io")
    ]


def test_groups_read_what_the_flow_says() -> None:
    assert topics_of_group("w", "w") == ("weblogs", "weblogs_tokens", "votes", "spend", "usage")
    assert topics_of_group("w-sqlite", "w") == (
        "weblogs_tokens",
        "weblogs_rejects",
        "weblogs_reduced",
        "votes_reduced",
        "spend_reduced",
        "requests_reduced",
        "usage_monitored",
    )
    assert changelog_topic("w", "byte_ranges") == "w-byte_ranges-changelog"


def test_a_worker_keeps_its_id_with_its_data_folder(tmp_path: Path) -> None:
    first = worker_id(tmp_path / "a")
    assert worker_id(tmp_path / "a") == first != worker_id(tmp_path / "b")


def test_a_data_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="WEBLOGS_DATA_DIR"):
        worker_id(tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"ROLES": "flow,nothing"}, "neither flow nor among"),
        ({"BROKER": "sqlite:///x", "ROLES": "flow"}, "one worker"),
        ({"BROKER": "sqlite:///x", "TABLE_STORE": "rocksdb"}, "Kafka only"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(named: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        settings(**named)
