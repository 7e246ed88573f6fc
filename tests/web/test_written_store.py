"""A store that only takes records, as one that somebody begins to write: what is asked of it is refused in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from app.domain.counted import CountedKind, EventKind, Sum
from app.domain.records import Delivery, Hit, Reject
from app.errors import SettingsError
from app.flows.votes import VOTES
from app.settings import Settings
from app.stores.contract import Store
from app.stores.ledger_contract import Named
from app.transports.producers import MessageProducer
from tests.web.conftest import ToldStatus, served


class Written:
    """Keeps what it is given in memory: the nine methods of Writes and LedgerWrites."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> None: ...

    async def write_hits(self, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        self.records += hits
        return []

    async def write_rejects(self, rejects: Sequence[Reject]) -> list[tuple[Reject, str]]:
        self.records += rejects
        return []

    async def write_deliveries(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str]]:
        self.records += deliveries
        return []

    async def write_events(self, kind: EventKind[Any], events: Sequence[Any]) -> list[tuple[Any, str]]:
        self.records += events
        return []

    async def write_sums(self, kind: CountedKind[Any], sums: Sequence[Sum]) -> list[tuple[Sum, str]]:
        self.records += sums
        return []

    async def put_names(self, kind: Named, names: Mapping[str, str]) -> None:
        self.records += names.items()


@pytest.fixture
def written() -> Written:
    return Written()


async def test_votes_are_written_to_it_and_asked_of_it_in_vain(written: Written) -> None:
    store = Store("appended", written, ledgers=written)
    await store.ledgers.put_names("candidates", {"1": "Ada"})
    assert written.records == [("1", "Ada")]
    with pytest.raises(
        SettingsError, match=r"^the store appended cannot be asked for votes and spending; name another store$"
    ):
        await store.ledgers.sums(VOTES, None, "total", 0, 1)


async def test_a_page_of_it_is_501_with_the_sentence(
    written: Written, status: ToldStatus, producer: MessageProducer, settings: Settings
) -> None:
    store = Store("appended", written, ledgers=written)
    async with served(store, status, producer, settings) as client:
        for path in ("/", "/deliveries/", "/statistics/", "/result/", "/spending/u1", "/spender?user=u1", "/caller?user=u1"):  # fmt: skip
            answer = await client.get(path)
            told = await answer.text()
            assert answer.status == 501 and "The store appended cannot be" in told, (path, told)
        assert (await client.get("/health/")).status == 200
        assert (await client.post("/weblogs/", data=b"one line\n")).status == 200
