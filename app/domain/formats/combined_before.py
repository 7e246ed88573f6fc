"""What stands before the time of a line of the common family: host, ident and user, perhaps behind a virtual host."""

from __future__ import annotations

import re
from functools import lru_cache

from app.domain.formats.base import BadLine
from app.domain.formats.clients import Clients, addresses_of, clients
from app.domain.formats.remembered import Remembered
from app.domain.formats.values import shown

__all__ = ["clients_before", "host_and_client"]


@lru_cache(maxsize=64)
def clients_before(trusted: str) -> tuple[Clients, Remembered[tuple[str | None, str | None]]]:
    """The clients of a setting, and what stands before the time to its client and virtual host: both are kept for all parsers of the setting."""
    its_clients = clients(trusted)

    def read(before: str) -> tuple[str | None, str | None]:
        host, client = host_and_client(before)
        return its_clients.of[client], host

    return its_clients, Remembered(read, longest=256)


def host_and_client(before: str) -> tuple[str | None, str]:
    """The virtual host, if there is one, and the text that names the client in `host ident user`.

    The host may be a list of forwarded addresses, or have one behind it in parentheses; it may be empty, and ident and user may be
    left out behind an address. A user may hold blanks, but not behind a host name: those may be words of another logger. Raises BadLine for anything else.

    >>> host_and_client("10.0.0.1 - Ann Lee"), host_and_client("example.com:443 10.0.0.1 - -"), host_and_client("10.0.0.1, 10.0.0.2 - -")
    ((None, '10.0.0.1'), ('example.com:443', '10.0.0.1'), (None, '10.0.0.1, 10.0.0.2'))
    >>> host_and_client("10.0.0.1 (203.0.113.7) - -"), host_and_client(" - -"), host_and_client("10.0.0.1 -")
    ((None, '203.0.113.7, 10.0.0.1'), (None, '-'), (None, '10.0.0.1'))
    """
    columns = [column for column in before.replace("\t", " ").replace(", ", ",").split(" ") if column]
    if len(columns) > 3 and columns[1][0] == "(" and columns[1][-1] == ")":
        passed_on = columns.pop(1)[1:-1]
        columns[0] = ",".join(filter(None, (passed_on, columns[0])))
    if "|" in columns:
        raise BadLine("bad_columns", f"a head of docker before the time: {shown(before)}")
    if len(columns) < 3:
        if columns and addresses_of(columns[0]):
            return None, columns[0].replace(",", ", ")
        if columns == ["-", "-"] and before[0] in " \t":
            return None, "-"
        raise BadLine("bad_columns", f"not host, ident and user before the time: {shown(before)}")
    if len(columns) == 3 or columns[1] == "-":
        # behind a virtual host a client of `-` is nobody; a bare address is a client whose user is `- name`
        is_address = _ADDRESS_FORM.fullmatch(columns[0])
        if len(columns) > 4 and columns[2][0] == "[" and columns[2][-1] == "]":
            del columns[2:4]  # old versions of Kubernetes' ingress write the addresses before it there
        if len(columns) == 4 and columns[2] == "-" and not is_address:
            return columns[0], "-"
        if len(columns) > 3 and (not is_address or any(one == "-" or addresses_of(one) for one in columns[3:])):
            # a sentence of another logger, at whose end a client may have written what looks like a line
            raise BadLine("bad_client", f"more than a user before the time: {shown(before)}")
        return None, columns[0].replace(",", ", ")
    has_form = _ADDRESS_FORM.fullmatch
    if (
        columns[2] == "-"
        and not _PORT.search(columns[0])
        and (forwarded := addresses_of(columns[0]))
        and addresses_of(columns[1])
        and (len(forwarded) > 1 or not _PRIVATE.is_proxy(forwarded[0]))
    ):
        # X-Forwarded-For, then the address of the connection; one private address may be the server's own, which all clients share
        return None, f"{columns[0]},{columns[1]}".replace(",", ", ")
    if (
        columns[2] == "-"
        and _VIRTUAL_HOST.fullmatch(columns[0])
        and (has_form(columns[1]) or not has_form(columns[0]))
        and not (len(columns) > 4 and "-" in columns[4:])
    ):
        return columns[0], columns[1].replace(",", ", ")
    raise BadLine("bad_client", f"more than host, ident and user before the time: {shown(before)}")


_IP_V6 = r"(?=[0-9A-Fa-f.]*:)[0-9A-Fa-f:.]++"
"""With a colon; it takes a time that grows with the length alone."""
_PRIVATE = clients("")
_PORT = re.compile(r"\.[0-9]+:[0-9]+\Z|\]")
_ADDRESS_FORM = re.compile(rf"[0-9.]+|\[?{_IP_V6}(?:\](?::[0-9]+)?)?|[^ ]*,[^ ]*")
_VIRTUAL_HOST = re.compile(rf"[A-Za-z0-9_*.-]+(?::[0-9]{{1,5}})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{{1,5}})?|{_IP_V6}")
