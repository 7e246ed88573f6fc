"""Names of hosts are looked up in a name server that answers over UDP; countries come from a file of MaxMind's format, too."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from app.reports.countries import Countries, resolved

ADDRESSES = {f"host{at}.example.": f"192.0.2.{at}" for at in range(1, 41)}


@contextmanager
def name_server(asked: Counter[str], silent: bool = False) -> Iterator[tuple[str, int]]:
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
                asked[name] += 1
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
    asked: Counter[str] = Counter()
    names = [name.rstrip(".") for name in ADDRESSES]
    with name_server(asked) as server:
        found = resolved([*names, *names, "six.example", "gone.example", "bad..name"], 100, server)
    assert found == {**{name.rstrip("."): address for name, address in ADDRESSES.items()}, "six.example": "2001:db8::6"}
    assert asked["host1.example."] == 1 and asked["gone.example."] == 1


def test_no_more_names_than_the_limit_are_asked() -> None:
    asked: Counter[str] = Counter()
    with name_server(asked) as server:
        assert len(resolved([name.rstrip(".") for name in ADDRESSES], 5, server)) == 5
    assert len(asked) == 5


def test_a_name_server_that_is_silent_is_not_asked_for_all_names() -> None:
    asked: Counter[str] = Counter()
    with name_server(asked, silent=True) as server:
        assert resolved([name.rstrip(".") for name in ADDRESSES], 100, server) == {}
    assert len(asked) == 32


def test_what_is_no_public_address_has_no_country() -> None:
    places = Countries()
    assert [places.of(text) for text in ("66.249.73.135", "10.0.0.1", "host.example", "", "2001:db8::1")] == [
        "US",
        "XX",
        "XX",
        "XX",
        "XX",
    ]
