"""The pages for people, on a real store."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from yarl import URL

from app.domain.records import Hit, Reject, key_hash, key_text
from app.settings import Settings
from app.stores import open_store
from app.stores.contract import Store
from app.transports.producers import MessageProducer
from app.web.deliveries.views import delivery_link
from app.web.service.status import Snapshot
from app.words import resumed_text, time_text, visible
from tests.web.conftest import NOW, Client, ToldStatus, served
from tests.web.records import NOON, SOURCE, deliveries, pieces


class Page(HTMLParser):
    """The elements, the text and the links of a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ("td", "th", "div", "dd", "dt", "span"):
            self.text += " "
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] not in ("style", "script"):
            self.text += data


async def page_of(client: Client, path: str, status: int = 200) -> Page:
    answer = await client.get(path)
    assert answer.status == status, await answer.text()
    assert answer.content_type == "text/html"
    return Page(await answer.text())


async def fill(store: Store, *parts: list[Hit]) -> None:
    hits = [hit for part in parts for hit in part]
    await store.writes.write_hits(hits)
    await store.writes.write_deliveries(deliveries(hits))


async def test_an_empty_store_is_said_in_words_with_the_command_that_fills_it(client: Client) -> None:
    page = await page_of(client, "/")
    assert "The store is empty" in page.text
    assert "python -m app replay" in page.text
    assert "/weblogs/" in page.text


async def test_hits_without_a_delivery_are_said_to_be_no_delivery_yet(client: Client, store: Store) -> None:
    await store.writes.write_hits(pieces([(0, 9)], status=404))
    page = await page_of(client, "/")
    assert "No delivery yet" in page.text
    assert "It holds 1 hit. None of them is a delivery" in page.text
    assert "The store is empty" not in page.text


async def test_hits_are_not_said_to_make_no_delivery_while_messages_wait(
    client: Client, store: Store, status: ToldStatus
) -> None:
    await store.writes.write_hits(pieces([(0, 9)]))
    status.say(lag={("weblogs", "weblogs_tokens", 0): 7})
    page = await page_of(client, "/")
    assert "It holds 1 hit. What they make is not stored yet: 7 messages waiting." in page.text
    assert "None of them is a delivery" not in page.text


async def test_deliveries_are_counted_by_verdict_and_reason_and_rejects_by_reason(client: Client, store: Store) -> None:
    await fill(
        store,
        pieces([(0, 99)], 100, ("192.0.2.1", "a", "GET /whole")),
        pieces([(0, 9), (50, 99)], 100, ("192.0.2.2", "a", "GET /gap"), start=10),
        pieces([(0, 9), (40, 99)], 100, ("192.0.2.3", "a", "GET /gap"), start=20),
    )
    await store.writes.write_rejects(
        [Reject("bad_time", "no date", "x", f"{n:032x}", SOURCE, n, NOW) for n in range(7)]
    )
    page = await page_of(client, "/")
    flat = " ".join(page.text.split())
    assert re.search(r"complete 1 33\.3 %", flat)
    assert re.search(r"partial 2 66\.6 %", flat)
    assert re.search(r"unknown 0 0 %", flat)
    assert "partial middle missing (gap) bytes in the middle are missing 2 66.6 %" in flat
    assert re.search(r"bad_time\s*the time is missing, not valid, or more than a day ahead\s*7", flat)


async def test_rejects_that_the_store_does_not_keep_are_those_of_the_running_worker(
    client: Client, store: Store, status: ToldStatus
) -> None:
    await fill(store, pieces([(0, 99)], 100))
    status.say(rejects={"too_long": 3})
    page = await page_of(client, "/")
    assert "since the worker started" in page.text
    assert "too_long" in page.text


async def test_columns_that_the_worker_did_not_read_are_told_as_the_command_line_does(
    client: Client, store: Store, status: ToldStatus
) -> None:
    await fill(store, pieces([(0, 99)], 100))
    assert "was not read" not in (await page_of(client, "/")).text
    status.say(unread={"column 11 was not read: looks like a request time": 1200})
    page = await page_of(client, "/")
    assert "Since the worker started: column 11 was not read: looks like a request time (1,200 lines)" in page.text


async def test_one_verdict_can_be_asked_for_and_an_unknown_one_is_refused(client: Client, store: Store) -> None:
    await fill(
        store,
        pieces([(0, 99)], 100, ("192.0.2.1", "a", "GET /whole")),
        pieces([(5, 9)], 100, ("192.0.2.2", "a", "GET /part"), start=5),
    )
    page = await page_of(client, "/?verdict=partial")
    assert "GET /part" in page.text
    assert "GET /whole" not in page.text
    await page_of(client, "/?verdict=maybe", status=400)


HOSTILE = {
    "script": ("203.0.113.9", "<script>alert('x')</script>", "GET /</title><img src=x onerror=alert(1)>"),
    "quotes": ("203.0.113.9", "\"'`><svg onload=alert(1)>", "GET /a?b=\"c\"&d='e'"),
    "nul": ("2001:db8::1", "nul\x00tab\tbell\x07esc\x1b[31m", "GET /nul\x00.mp4"),
    "right to left": ("203.0.113.9", "عامل \u202egnp.exe\u202c", "GET /ملف.mp4"),
    "8 kB": ("203.0.113.9", "A" * 8192, "GET /" + "é" * 4096),
    "underscores": ("203.0.113.9", "a_b_c", "GET /_d_"),
    "half a surrogate pair": ("203.0.113.9", "agent \ud800", "GET /\udfff"),
    "empty": ("", "", ""),
    "newline": ("203.0.113.9", "two\nlines\r\n", "GET /{{ 7 * 7 }}"),
}


@pytest.mark.parametrize("key", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_key_is_shown_as_text_and_found_by_search_and_link(
    client: Client, store: Store, key: tuple[Any, ...]
) -> None:
    await fill(store, pieces([(0, 9), (50, 99)], 100, key))
    plain = Page(await (await client.get("/")).text())
    link = next(link for link in plain.links if link.startswith("/delivery?"))
    for path in ("/", link):
        page = await page_of(client, path)
        assert not page.handlers
        assert page.tags.count("script") <= 1  # the page's own
        assert "img" not in page.tags
        assert not {"\x00", "\x1b", "\u202e"} & set(page.text)
    assert visible(key[1]) in page.text
    assert visible(key[2]) in page.text
    assert "50–99" in page.text
    part = key[2][2:30].strip()
    if part and not any("\ud800" <= char <= "\udfff" for char in part):
        found = await client.get("/", params={"q": part})
        assert link in Page(await found.text()).links


async def test_a_search_that_fits_one_key_exactly_goes_to_its_page(client: Client, store: Store) -> None:
    key = ("192.0.2.1", "agent_with_lines", "GET /a_b")
    await fill(store, pieces([(0, 99)], 100, key))
    for text in (key_text(*key), key_hash(key_text(*key)), key_hash(key_text(*key)).upper()):
        answer = await client.get("/", params={"q": text}, allow_redirects=False)
        assert answer.status == 303
        assert answer.headers["Location"] == delivery_link(*key)


async def test_a_search_lists_no_more_than_its_limit_and_says_so(client: Client, store: Store) -> None:
    await fill(store, *(pieces([(0, 99)], 100, (f"192.0.2.{n}", "a", "GET /many"), start=n) for n in range(60)))
    page = await page_of(client, "/?q=/many")
    assert "50 keys or more" in page.text


async def test_a_search_without_result_says_so(client: Client, store: Store) -> None:
    await fill(store, pieces([(0, 99)], 100))
    page = await page_of(client, "/?q=nowhere")
    assert "Nothing is known of it" in page.text and "older keys" not in page.text


async def test_a_search_shows_the_verdict_of_each_key(client: Client, store: Store) -> None:
    await fill(
        store,
        pieces([(0, 99)], 100, ("192.0.2.1", "a", "GET /film/old")),
        pieces([(5, 9)], 100, ("192.0.2.2", "a", "GET /film/new"), start=5),
    )
    flat = " ".join((await page_of(client, "/?q=/film/")).text.partition("Deliveries")[0].split())
    assert re.search(r"GET /film/new .* partial .*GET /film/old .* complete", flat), flat


async def test_a_search_beyond_its_limit_says_what_was_searched_and_goes_on_until_all_was(
    client: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.deliveries.pages.SEARCHED_KEYS", 3)
    films = [pieces([(0, 99)], 100, (f"192.0.2.{n}", "a", f"GET /film/{n}"), start=n) for n in range(8)]
    await fill(store, *films)
    page = await page_of(client, "/?q=/film/1")
    said: list[str] = []
    while "1 key with" not in page.text:
        said.append(page.text)
        assert "Nothing was found in what was searched" in page.text and "Nothing is known" not in page.text
        assert "3 keys were searched, the newest first" in page.text
        page = await page_of(client, next(link for link in page.links if "older=" in link))
    assert len(said) == 2 and "complete" in page.text
    assert "older keys" not in page.text and "were searched" not in page.text
    exact = await client.get("/", params={"q": "192.0.2.1_a_GET /film/1"}, allow_redirects=False)
    assert exact.status == 303


async def test_a_search_with_more_keys_than_a_page_lists_leads_to_the_next_ones(client: Client, store: Store) -> None:
    await fill(store, *(pieces([(0, 99)], 100, (f"192.0.2.{n}", "a", f"GET /many/{n}"), start=n) for n in range(120)))
    page, listed = await page_of(client, "/?q=/many"), set[str]()
    for _ in range(3):
        listed |= {link for link in page.links if link.startswith("/delivery?")}
        further = [link for link in page.links if "older=" in link]
        page = await page_of(client, further[0]) if further else page
    assert len(listed) == 120


@pytest.mark.parametrize("older", ["x", "-1", "9" * 30, "1.2.3", "\u0663"])
async def test_a_place_where_no_search_stopped_is_refused(client: Client, older: str) -> None:
    answer = await client.get("/", params={"q": "a", "older": older})
    assert answer.status == 400 and "older" in await answer.text()


async def test_keys_that_are_written_alike_are_listed_to_choose_from(client: Client, store: Store) -> None:
    keys = [("a", "b_c", "d"), ("a_b", "c", "d")]
    await fill(store, pieces([(0, 99)], 100, keys[0]), pieces([(0, 9)], 100, keys[1], start=5))
    page = await page_of(client, f"/delivery?key_hash={key_hash('a_b_c_d')}", status=409)
    links = [link for link in page.links if link.startswith("/delivery?")]
    assert sorted(links) == sorted(delivery_link(*key, full=True) for key in keys)
    for link in links:
        await page_of(client, link)


async def test_a_delivery_page_shows_all_windows_and_which_log_lines_count(client: Client, store: Store) -> None:
    later = 3 * 86400
    hits = [
        *pieces([(0, 99)], 100),
        *pieces([(0, 9)], 100, start=later),
        *pieces([(10, 99)], 100, start=later + 1, status=500),
    ]
    await fill(store, hits)
    page = await page_of(client, delivery_link("192.0.2.7", "Player/1.0", "GET /film.mp4"))
    flat = " ".join(page.text.split())
    assert flat.index("partial Not whole: the end is missing") < flat.index(
        "complete Whole: all 100 bytes of the file arrived."
    )
    assert "Bytes missing 10–99" in flat
    assert "Log lines 3" in flat
    assert re.search(r"GET 500 10–99 90 B 100 B no", flat)
    assert re.search(r"GET 206 0–9 10 B 100 B yes", flat)


async def test_hits_alone_have_a_page_that_says_that_none_counts(client: Client, store: Store) -> None:
    await store.writes.write_hits(pieces([(0, 9)], status=404))
    page = await page_of(client, delivery_link("192.0.2.7", "Player/1.0", "GET /film.mp4"))
    assert "none of them counts" in page.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/delivery?ip=a&ua=b&request=c", 404),
        ("/delivery?ip=a", 400),
        ("/delivery?key_hash=xyz", 400),
        ("/nothing", 404),
        ("/delivery", 400),
    ],
)
async def test_a_page_that_can_not_be_given_says_why_in_html(client: Client, path: str, status: int) -> None:
    page = await page_of(client, path, status)
    assert "h2" in page.tags


async def test_bars_have_at_most_200_pieces_however_many_ranges_there_are(client: Client, store: Store) -> None:
    await fill(store, pieces([(n * 3, n * 3 + 1) for n in range(2000)], 6000))
    page = await page_of(client, "/")
    assert 1 <= page.tags.count("rect") <= 203


async def test_byte_counts_without_offsets_have_words_in_place_of_a_bar(client: Client, store: Store) -> None:
    [hit] = pieces([(0, 9)])
    await fill(store, [hit._replace(lo=None, hi=None, status=206, bytes_sent=123_456_789)])
    page = await page_of(client, "/")
    assert "the log names no offsets" in page.text
    assert "123 MB sent" in " ".join(page.text.split())
    whole = await page_of(client, delivery_link("192.0.2.7", "Player/1.0", "GET /film.mp4"))
    assert "the log does not say how large the file is" in " ".join(whole.text.split())


async def test_a_resumed_delivery_is_whole_on_a_condition_that_the_page_names(client: Client, store: Store) -> None:
    first, second = pieces([(0, 999), (400, 999)], 1000)
    await fill(store, [first._replace(bytes_sent=600), second])
    page = await page_of(client, delivery_link("192.0.2.7", "Player/1.0", "GET /film.mp4"))
    flat = " ".join(page.text.split())
    assert f"complete {resumed_text([[0, 399]])}." in flat
    assert "Judged by byte ranges, with bytes that were sent before a connection broke" in flat


async def test_huge_numbers_are_shown(client: Client, store: Store) -> None:
    size = 10**1000
    await fill(store, pieces([(0, size - 1)], size))
    page = await page_of(client, "/")
    assert "1e1000 B" in page.text
    await page_of(client, delivery_link("192.0.2.7", "Player/1.0", "GET /film.mp4"))


async def test_any_query_is_answered_without_an_error_of_the_server(client: Client, store: Store) -> None:
    await fill(store, pieces([(0, 99)], 100))
    for query in (
        "q=%ff%fe",
        "q=%00",
        "q=%ED%A0%80",
        "q=%",
        "q=a&q=b",
        "q=%25%5F*?[",
        "q=" + "%F0%9F%92%A9" * 2000,
        "&&=&q",
        "verdict=%00",
        "x=1",
    ):
        for path in ("/", "/delivery", "/deliveries/"):
            answer = await client.get(URL(f"{path}?{query}", encoded=True))
            assert answer.status < 500, (path, query)


async def test_an_unreachable_store_leaves_a_page_that_says_so(
    status: ToldStatus, producer: MessageProducer, settings: Settings
) -> None:
    store = open_store("sqlite", settings, read_only=True)  # its file was never made
    async with served(store, status, producer, settings) as client:
        page = await page_of(client, "/")
        assert "The store sqlite is unreachable" in page.text
        assert "needs attention" in page.text
        searched = await page_of(client, "/?q=something")
        assert "The store does not answer" in searched.text
        await page_of(client, "/delivery?ip=a&ua=b&request=c", status=503)
    await store.close()


async def test_a_stalled_worker_is_said_in_words(client: Client, status: ToldStatus) -> None:
    status.say(lag={("weblogs", "weblogs", 0): 12}, committed_at=NOW - 95)
    page = await page_of(client, "/")
    assert "Group weblogs is stalled: 12 messages wait and nothing was committed for 1 min 35 s." in page.text


async def test_a_worker_that_has_not_started_is_said_in_words(client: Client, status: ToldStatus) -> None:
    status.told = Snapshot(started=None, now=NOW)
    page = await page_of(client, "/")
    assert "has not started" in page.text


async def test_the_page_is_whole_without_anything_from_elsewhere(client: Client, store: Store) -> None:
    await fill(store, pieces([(0, 99)], 100))
    answer = await client.get("/")
    html = await answer.text()
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http://" not in html and "https://" not in html
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert f"{NOON:.0f}" not in html
    assert "2020-07-31 12:00:00" in html


@pytest.mark.parametrize("path", ["/", "/?verdict=partial"])
async def test_the_page_tells_the_period_and_what_complete_deliveries_rest_on(
    client: Client, store: Store, path: str
) -> None:
    [one] = deliveries(pieces([(0, 99)], 100))
    shares = {"ranges": 4, "resumed": 2, "learned": 3}
    kinds = [kind for kind, number in shares.items() for _ in range(number)]
    many = [one._replace(request=f"GET /{n}", evidence=kind, last=NOON + n) for n, kind in enumerate(kinds)]
    assert await store.writes.write_deliveries(many) == []
    text = " ".join((await page_of(client, path)).text.split())
    assert f"All deliveries that the store keeps, with hits up to {time_text(NOON + len(kinds) - 1)} UTC." in text
    assert "Complete: 4 by byte ranges, 2 resumed after a broken response, 3 by a learned size." in text
