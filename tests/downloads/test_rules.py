"""One line a rule, the worked example of windows, thresholds, lists: rules on hits, without files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from app.cli.report import downloads as downloads_command
from app.domain.records import HitFlag, Parsed
from app.domain.requests import extension_of, path_of
from app.downloads.lists import Lists, listener_address, open_lists
from app.downloads.rules import RULES, WINDOWS, DownloadRules, Episode, left_out, needed_bytes, piece_of, windows_of
from app.errors import SettingsError

DAY, HOUR = 86400.0, 3600.0
MINUTE_BYTES = 960_000
"""Of 128 kbit/s."""
AGENT = "Player/1.0 (phone)"
MINUTE, UNKNOWN = DownloadRules(), Episode()
NOBODY = Lists(lambda agent: False, lambda address: False)
LISTS = open_lists()


def hit(time: float = 0.0, **fields: Any) -> Parsed:
    """A whole episode, fetched by one listener."""
    whole = Parsed(time, "192.0.2.1", AGENT, "GET /e.mp3", "GET", 200, None, None, 2_000_000, None, 0)
    return whole._replace(**fields)


def ranged(lo: int, hi: int, time: float = 0.0, **fields: Any) -> Parsed:
    return hit(time, status=206, lo=lo, hi=hi, bytes_sent=hi - lo + 1, **fields)


def rule_of(one: Parsed, lists: Lists = LISTS, asked: DownloadRules = MINUTE) -> str:
    return left_out(one, path_of(one.request), extension_of(one.request), lists, asked)


def outcomes(hits: Sequence[Parsed], asked: DownloadRules = MINUTE, episode: Episode = UNKNOWN) -> list[str]:
    """Of each window: why it is no download, empty if it is one."""
    pieces = sorted((piece_of(one) for one in hits), key=lambda piece: piece.time)
    return [window.rule for window in windows_of(pieces, episode, asked)]


LINES = [
    ("method", hit(method="HEAD", request="HEAD /e.mp3")),
    ("method", hit(method="POST", request="POST /e.mp3")),
    ("method", hit(method=None, request=None)),
    ("status", hit(status=304)),
    ("status", hit(status=404)),
    ("status", hit(status=416)),
    ("status", hit(status=302)),
    ("no_file", hit(request="GET *")),
    ("no_client", hit(user_agent=None)),
    ("no_client", hit(ip_address=None)),
    ("not_media", hit(request="GET /feed.xml")),
    ("not_media", hit(request="GET /cover.jpg?of=e.mp3")),
    ("probe", ranged(0, 1)),
    ("probe", ranged(0, 0)),
    ("probe", hit(status=206, bytes_sent=2)),
    ("crawler", hit(user_agent="Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")),
    ("crawler", hit(user_agent="Overcast/1.0 Podcast Sync (123 subscribers; feed-id=456789; +http://overcast.fm/)")),
    ("data_centre", hit(ip_address="3.5.140.1")),
    ("data_centre", hit(ip_address="::ffff:3.5.140.1")),
    ("data_centre", hit(ip_address="2600:1f18::1")),
    ("watch_os", hit(user_agent="atc/1.0 watchOS/7.0.1 model/Watch4,2 hwp/t8006 build/18R395 (6; dt:192)")),
    ("watch_os", hit(user_agent="(null)/(null) watchOS/5.0.1 model/Watch2,7 hwp/t8002 build/16R381 (6; dt:149)")),
    ("", hit()),
    ("", hit(request="GET /e.mp3?token=1")),
    ("", hit(request="GET /E.MP3")),
    ("", hit(ip_address="2001:db8::1")),
    ("", hit(ip_address="listener.example")),
    ("", ranged(0, 2)),
    ("", ranged(1, 2)),
    ("", hit(status=206, bytes_sent=2, flags=int(HitFlag.HEADERS_COUNTED))),
    ("", hit(user_agent="Overcast/3.0 (+http://overcast.fm/; Apple Watch podcast app)")),
]
WINDOW_LINES: list[tuple[str, list[Parsed], DownloadRules, Episode]] = [
    ("size_unknown", [ranged(0, 2_000_000)], DownloadRules(seconds=None), Episode()),
    ("answered_only", [hit(bytes_sent=None)], DownloadRules(), Episode()),
    ("answered_only", [hit(flags=int(HitFlag.ANNOUNCED))], DownloadRules(seconds=None), Episode(2_000_000)),
    ("no_offsets", [hit(at, status=206, bytes_sent=500_000) for at in (0.0, 9.0)], DownloadRules(), Episode()),
    ("below_threshold", [ranged(0, MINUTE_BYTES - 2)], DownloadRules(), Episode()),
    ("below_threshold", [hit(bytes_sent=MINUTE_BYTES - 1)], DownloadRules(), Episode()),
    ("below_threshold", [hit(at, status=206, bytes_sent=500_000) for at in (9.0, 9.0)], DownloadRules(), Episode()),
    ("below_threshold", [ranged(0, 1_999_998)], DownloadRules(seconds=None), Episode(2_000_000)),
    ("below_threshold", [ranged(0, MINUTE_BYTES + 99)], DownloadRules(), Episode(9_000_000, head_bytes=101)),
    ("below_threshold", [ranged(100, 200), ranged(0, 500_000), ranged(0, 900_000)], DownloadRules(), Episode()),
    ("", [ranged(0, MINUTE_BYTES - 1)], DownloadRules(), Episode()),
    ("", [hit(bytes_sent=MINUTE_BYTES)], DownloadRules(), Episode()),
    ("", [ranged(500_000, 999_999, 5.0), ranged(0, 499_999, 9.0)], DownloadRules(), Episode()),
    ("", [hit(status=206, bytes_sent=MINUTE_BYTES)], DownloadRules(), Episode()),
    ("", [ranged(0, 1_999_999)], DownloadRules(seconds=None), Episode(2_000_000)),
    ("", [ranged(0, 1_999_999, total_bytes=2_000_000)], DownloadRules(seconds=None), Episode()),
    ("", [ranged(500, 1_999_999)], DownloadRules(seconds=None), Episode(2_000_000, head_bytes=500)),
    ("", [ranged(0, MINUTE_BYTES + 99)], DownloadRules(), Episode(9_000_000, head_bytes=100)),
    ("", [ranged(0, 399_999)], DownloadRules(), Episode(400_000)),
    ("", [hit(bytes_sent=None, flags=int(HitFlag.ENDED))], DownloadRules(seconds=None), Episode()),
]


@pytest.mark.parametrize(("rule", "one"), LINES)
def test_each_line_is_left_out_by_its_rule(rule: str, one: Parsed) -> None:
    assert rule_of(one) == rule


@pytest.mark.parametrize(("rule", "hits", "asked", "episode"), WINDOW_LINES)
def test_each_window_is_left_out_by_its_rule(
    rule: str, hits: list[Parsed], asked: DownloadRules, episode: Episode
) -> None:
    assert [rule_of(one, NOBODY) for one in hits] == [""] * len(hits)
    assert outcomes(hits, asked, episode) == [rule]


def test_the_table_has_every_rule_but_that_of_the_period() -> None:
    assert {rule for rule, *_ in (*LINES, *WINDOW_LINES)} - {""} == set(RULES) - {"period"}


def test_the_first_rule_that_fits_counts() -> None:
    hopeless = hit(method="HEAD", status=404, ip_address="3.5.140.1", user_agent="Googlebot/2.1", request="GET /a.txt")
    assert rule_of(hopeless) == "method"
    assert rule_of(hopeless._replace(method="GET")) == "status"
    assert rule_of(hopeless._replace(method="GET", status=200)) == "not_media"


# Monday 22:00, Tuesday 03:00, Tuesday 22:15, Wednesday 23:15, 5 October 2020 being a Monday.
MONDAY = 1601856000.0
REQUESTS = [MONDAY + 22 * HOUR, MONDAY + 27 * HOUR, MONDAY + 46.25 * HOUR, MONDAY + 71.25 * HOUR]


@pytest.mark.parametrize(("window", "begin"), [("day", [1, 2, 4]), ("first_touch", [1, 3, 4]), ("last_touch", [1, 4])])
def test_the_worked_example_of_windows(window: str, begin: list[int]) -> None:
    pieces = [piece_of(hit(at)) for at in REQUESTS]
    windows = list(windows_of(pieces, Episode(), DownloadRules(window)))
    assert [REQUESTS.index(each.first) + 1 for each in windows] == begin
    assert [each.rule for each in windows] == [""] * len(begin)


@pytest.mark.parametrize("window", ["first_touch", "last_touch"])
def test_a_window_ends_after_exactly_24_hours(window: str) -> None:
    assert len(outcomes([hit(0.0), hit(DAY - 0.001)], DownloadRules(window))) == 1
    assert len(outcomes([hit(0.0), hit(DAY)], DownloadRules(window))) == 2


def test_each_window_needs_the_threshold_for_itself() -> None:
    first, second = ranged(0, 499_999, 0.0), ranged(500_000, 999_999, DAY)
    assert outcomes([first, second]) == ["below_threshold", "below_threshold"]
    assert outcomes([first, second._replace(time=DAY - 1)]) == [""]


def test_days_are_those_of_a_zone() -> None:
    pieces = [piece_of(hit(at)) for at in (22.5 * HOUR, 23.5 * HOUR)]
    assert len(list(windows_of(pieces, Episode(), DownloadRules("day")))) == 1
    assert len(list(windows_of(pieces, Episode(), DownloadRules("day"), {22.5 * HOUR: 0, 23.5 * HOUR: 1}))) == 2


@pytest.mark.parametrize(
    ("episode", "asked", "needed"),
    [
        (Episode(), DownloadRules(), MINUTE_BYTES),
        (Episode(), DownloadRules(seconds=30.0), MINUTE_BYTES // 2),
        (Episode(), DownloadRules(bit_rate_kbit=64.0), MINUTE_BYTES // 2),
        (Episode(1_200_000, 0, 120.0), DownloadRules(), 600_000),
        (Episode(1_300_000, 100_000, 120.0), DownloadRules(), 600_000),
        (Episode(700_000, 100_000), DownloadRules(), 600_000),
        (Episode(300_000, 0, 30.0), DownloadRules(), 300_000),
        (Episode(1_300_000, 100_000, 120.0), DownloadRules(seconds=None), 1_200_000),
        (Episode(None, 100_000), DownloadRules(seconds=None), None),
    ],
)
def test_what_is_needed_follows_from_bit_rate_or_size(
    episode: Episode, asked: DownloadRules, needed: int | None
) -> None:
    assert needed_bytes(episode, asked) == needed


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
    ],
)
def test_ipv6_listeners_are_told_apart_by_64_bits(one: str, other: str, same: bool) -> None:
    assert (listener_address(one) == listener_address(other)) is same


def test_the_lists_tell_name_version_and_fingerprint() -> None:
    names = ["crawler-user-agents 1.67.0", "players 1", "data centres 2023-11-15"]
    assert [each.name for each in LISTS.facts] == names
    assert [each.entries for each in LISTS.facts] == [1504, 1, 3873]
    assert len({each.sha256 for each in LISTS.facts}) == 3 and all(len(each.sha256) == 64 for each in LISTS.facts)


def test_a_list_of_ones_own_takes_the_place_of_the_programs(tmp_path: Any) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text("# mine 7\n198.51.100.0/24\tme\n\n198.51.100.128/25\n2001:db8::/32\n203.0.113.9\n")
    lists = open_lists(str(path))
    assert lists.facts[2].name == "mine 7" and lists.facts[2].entries == 4
    inside = ["198.51.100.0", "198.51.100.255", "203.0.113.9", "2001:db8:ffff::1"]
    outside = ["198.51.99.255", "198.51.101.0", "203.0.113.10", "3.5.140.1", "2001:db9::", "a.example", ""]
    assert [lists.is_data_centre(address) for address in inside + outside] == [True] * 4 + [False] * 7


def test_a_wrong_network_is_named_with_its_line(tmp_path: Any) -> None:
    (tmp_path / "bad").write_text("198.51.100.0/24\n198.51.100.0/33\n")
    with pytest.raises(SettingsError, match=r"bad, line 2: '198.51.100.0/33' is no network"):
        open_lists(str(tmp_path / "bad"))
    with pytest.raises(SettingsError, match="cannot be read"):
        open_lists(str(tmp_path / "missing"))


def test_the_help_lists_the_windows_of_the_rules() -> None:
    assert downloads_command._WINDOWS == WINDOWS
