"""Names of hosts are looked up in a name server that answers over UDP; countries come from a file of MaxMind's format, too."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from app.errors import SettingsError
from app.reports import questions
from app.reports.countries import Countries, resolved
from tests.reports.logs import asked, line, written

ADDRESSES = {f"host{at}.example.": f"192.0.2.{at}" for at in range(1, 41)}


@contextmanager
def name_server(seen: Counter[str], silent: bool = False) -> Iterator[tuple[str, int]]:
    """Answers for ADDRESSES; `six.example.` has only an IPv6 address; all other names do not exist."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                data, client = udp.recvfrom(4096)
                if not data:
                    return
                query = dns.message.from_wire(data)
                name, kind = query.question[0].name.to_text(), query.question[0].rdtype
                seen[name] += 1
                if silent:
                    continue
                reply = dns.message.make_response(query)
                reply.flags |= dns.flags.RA
                if name in ADDRESSES and kind == 1:
                    reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", ADDRESSES[name]))
                elif name == "six.example." and kind == 28:
                    reply.answer.append(dns.rrset.from_text(name, 60, "IN", "AAAA", "2001:db8::6"))
                elif name not in ADDRESSES and name != "six.example.":
                    reply.set_rcode(dns.rcode.NXDOMAIN)
                udp.sendto(reply.to_wire(), client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield udp.getsockname()
        finally:
            udp.sendto(b"", udp.getsockname())
            thread.join()


def test_each_name_is_asked_once_and_names_without_an_answer_are_left_out() -> None:
    seen: Counter[str] = Counter()
    names = [name.rstrip(".") for name in ADDRESSES]
    with name_server(seen) as server:
        found = resolved([*names, *names, "six.example", "gone.example", "bad..name"], 100, server)
    assert found == {**{name.rstrip("."): address for name, address in ADDRESSES.items()}, "six.example": "2001:db8::6"}
    assert seen["host1.example."] == 1 and seen["gone.example."] == 1


def test_no_more_names_than_the_limit_are_asked() -> None:
    seen: Counter[str] = Counter()
    with name_server(seen) as server:
        assert len(resolved([name.rstrip(".") for name in ADDRESSES], 5, server)) == 5
    assert len(seen) == 5


def test_a_name_server_that_is_silent_is_not_asked_for_all_names() -> None:
    seen: Counter[str] = Counter()
    with name_server(seen, silent=True) as server:
        assert resolved([name.rstrip(".") for name in ADDRESSES], 100, server) == {}
    assert len(seen) == 32


def mmdb(data: bytes, built: int = 1_700_000_000) -> bytes:
    """A file of MaxMind's format for IPv4 in which every address has the same data."""

    def text(some: str) -> bytes:
        return bytes([0x40 | len(some)]) + some.encode()

    numbers = {"binary_format_major_version": 2, "binary_format_minor_version": 0, "ip_version": 4, "record_size": 24}
    parts = [text(name) + b"\xa2" + number.to_bytes(2, "big") for name, number in numbers.items()]
    parts += [text("node_count") + b"\xc4" + (1).to_bytes(4, "big"), text("build_epoch") + b"\x08\x02" + built.to_bytes(8, "big")]  # fmt: skip
    parts += [text("database_type") + text("Test-Country"), text("description") + b"\xe0", text("languages") + b"\x00\x04"]  # fmt: skip
    return 2 * (17).to_bytes(3, "big") + bytes(16) + data + b"\xab\xcd\xefMaxMind.com\xe9" + b"".join(parts)


GERMANY = b"\xe1\x47country\xe1\x48iso_code\x42DE"


def test_a_file_of_countries_for_ipv4_alone_knows_no_country_of_ipv6(tmp_path: Path) -> None:
    path = tmp_path / "a.mmdb"
    path.write_bytes(mmdb(GERMANY))
    places = Countries(str(path))
    assert [places.of(text) for text in ("192.0.2.1", "2001:db8::1", "host")] == ["DE", "XX", "XX"]
    assert places.list_version == "Test-Country, built 2023-11-14"


@pytest.mark.parametrize("code", [b"\x44DEUT", b"\x42de", b"\x43\x1b[2", b"\xe0"])
def test_what_is_no_code_of_a_country_is_unknown(code: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.mmdb").write_bytes(mmdb(GERMANY[:-3] + code))
    assert Countries(str(tmp_path / "a.mmdb")).of("192.0.2.1") == "XX"


def test_a_damaged_file_of_countries_is_a_sentence_also_if_another_process_reads_it(tmp_path: Path) -> None:
    path, log = tmp_path / "a.mmdb", written(tmp_path / "a.log", [line()] * 9)
    path.write_bytes(mmdb(b"\xff\xff\xff"))
    for processes in (0, 1):
        with pytest.raises(SettingsError, match=r"a\.mmdb: is damaged"):
            questions.hosts(asked(log, processes=processes, countries=("DE",), geoip=str(path)))
    path.write_bytes(mmdb(GERMANY, 1 << 60))
    with pytest.raises(SettingsError, match="cannot be read as a MaxMind database"):
        Countries(str(path))


def test_what_is_no_public_address_has_no_country() -> None:
    places = Countries()
    assert [places.of(text) for text in ("66.249.73.135", "10.0.0.1", "host.example", "", "2001:db8::1")] == [
        "US",
        "XX",
        "XX",
        "XX",
        "XX",
    ]
