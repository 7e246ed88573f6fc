"""Every format is told from its lines: all of them, one alone, or behind bad ones."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pytest

from app.domain import formats
from app.domain.formats import FORMATS, Format, FormatOptions, get
from app.domain.formats.detection import dash_for_bytes, detect, fits
from tests.together import together

LINE = '10.0.0.1 - - [31/Jul/2020:16:46:07 +0000] "GET /a HTTP/1.1" 206 500'
EXAMPLES = [(name, line) for name, log_format in FORMATS.items() for line in log_format.example.split("\n")]
BAD = ["", "garbage", "\x00\x01\x7f", "\\xff\\xfe", "cut off in the mid"]


def name_of(*lines: str) -> str | None:
    found = detect(lines)
    return found.name if found else None


def test_the_formats_are_those_of_the_list() -> None:
    assert set(FORMATS) == {
        "weblog_tsv", "common", "combined", "vhost_combined", "combined_range", "cloudfront", "cloudfront_realtime", "s3", "w3c", "json",
        "squid", "haproxy", "alb", "envoy", "bunny", "gcs", "heroku", "ltsv", "nginx_proxy_manager", "gorouter", "azure_storage", "logfmt",
        "cdn_tsv", "alibaba_cdn", "huawei_cdn", "tencent_cdn", "wp_engine", "kinsta", "actix", "oauth2_proxy", "gin",
    }  # fmt: skip
    assert all(name == log_format.name for name, log_format in FORMATS.items())


@together("name", FORMATS)
def test_every_line_of_an_example_is_a_hit_or_a_head_line(name: str) -> None:
    log_format = FORMATS[name]
    parse = log_format.make_parser((), FormatOptions())
    first, *others = log_format.example.split("\n")
    if not log_format.header_row:
        others = [first, *others]
    assert [parse(line) is None for line in others] == [
        bool(log_format.head_prefix) and line.startswith(log_format.head_prefix) for line in others
    ]


@together("name", FORMATS)
def test_an_example_is_its_own_format(name: str) -> None:
    assert name_of(*FORMATS[name].example.split("\n")) == name


@together(("name", "line"), [(name, line) for name, line in EXAMPLES if line != "#Version: 1.0"])
def test_one_line_alone_is_enough(name: str, line: str) -> None:
    assert name_of(line) == name


@together("bad", BAD)
@together("name", FORMATS)
def test_a_bad_first_line_does_no_harm(name: str, bad: str) -> None:
    lines = FORMATS[name].example.split("\n")
    assert name_of(bad, *lines) == name
    assert name_of(lines[0][: len(lines[0]) // 2], *lines) == name


@pytest.mark.parametrize(
    ("after", "name"),
    [
        ("", "common"),
        (' "-" "x"', "combined"),
        (' "-" "x" "-"', "combined_range"),
        (' "-" "x" "bytes 0-499/1234"', "combined_range"),
        (' "-" "x" "bytes 0-499/*"', "combined_range"),
        (' "-" "x" "203.0.113.7"', "combined"),
    ],
)
def test_the_common_family_is_told_apart_by_one_line(after: str, name: str) -> None:
    assert name_of(LINE + after) == name


def test_a_user_with_spaces_is_no_virtual_host() -> None:
    assert name_of(LINE.replace(" - - ", " - Ann Lee ") + ' "-" "x"') == "combined"
    assert name_of("example.com:443 " + LINE + ' "-" "x"') == "vhost_combined"
    assert name_of("example.com " + LINE.replace(" - - ", " - ann ") + ' "-" "x"') == "vhost_combined"


def test_forwarded_addresses_among_hyphens_make_it_combined() -> None:
    assert name_of(*[LINE + ' "-" "x" "-"'] * 5, LINE + ' "-" "x" "203.0.113.7"') == "combined"


def test_tab_separated_w3c_logs_of_others_are_not_cloudfront() -> None:
    head = "#Fields: date\ttime\tc-ip\tcs-method\tcs-uri-stem\tsc-status"
    assert name_of(head, "2020-07-31\t16:46:07\t10.0.0.1\tGET\t/a\t200") == "w3c"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (FORMATS["weblog_tsv"].example.split("\n")[1].replace("0-289", "289-0"), "weblog_tsv"),
        (LINE.replace("206", "999") + ' "-" "x"', "combined"),
        ("2002-05-02 17:42:15 172.22.255.255 GET /a 200 x", "w3c"),
        ("Date\tTimestamp\tIP\tAgent\tRequest\tStatus\tRange", "weblog_tsv"),
    ],
)
def test_one_line_with_a_wrong_value_or_without_its_head_still_tells(line: str, name: str) -> None:
    assert name_of(line) == name


@together("lines", [(), ("",), ("", ""), *((bad,) for bad in BAD), ("{}",), ("a\tb\tc\td\te\tf\tg",), ("x" * 100_000,)])
def test_garbage_and_nothing_have_no_format(lines: tuple[str, ...]) -> None:
    assert detect(lines) is None


def test_line_ends_do_no_harm() -> None:
    assert name_of(LINE + "\r\n") == "common"


def test_the_columns_set_for_real_time_logs_count() -> None:
    line = "1607374508.5\t192.0.2.7\t206\tGET\t/a"
    assert detect([line]) is None
    found = detect([line], FormatOptions(realtime_fields="timestamp,c-ip,sc-status,cs-method,cs-uri-stem"))
    assert found is FORMATS["cloudfront_realtime"]


def test_a_wrong_setting_of_one_format_does_not_stop_the_others() -> None:
    assert detect([LINE], FormatOptions(json_fields="x", realtime_fields="y")) is FORMATS["common"]


def test_get_gives_the_format_of_a_name() -> None:
    assert get("json") is FORMATS["json"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("combind", "no log format 'combind'; did you mean combined or"),
        ("COMMON", "did you mean common"),
        ("zzz", "the formats are weblog_tsv, common"),
    ],
)
def test_get_names_what_comes_close_to_an_unknown_name(name: str, message: str) -> None:
    with pytest.raises(LookupError, match=message):
        get(name)


@pytest.mark.parametrize("first", [["x" * 70_000], [""] * 200, ["\x00" * 4096], ["#" * 20_000] * 3 + [""] * 60])
def test_blank_and_endless_lines_at_the_beginning_decide_nothing(first: list[str]) -> None:
    assert name_of(*first, LINE + ' "-" "x" "bytes 0-499/1234"') == "combined_range"


def test_a_mark_of_the_byte_order_or_nuls_before_the_first_line_do_no_harm() -> None:
    assert name_of("\ufeff" + LINE) == name_of("\x00" * 100 + LINE) == "common"


def test_a_format_fits_where_it_reads_half_of_the_lines() -> None:
    json_line = FORMATS["json"].example.split("\n")[0]
    assert fits(FORMATS["combined"], [LINE, "garbage", ""], FormatOptions())
    assert not fits(FORMATS["combined"], [LINE, json_line, json_line], FormatOptions())
    assert not fits(FORMATS["combined"], ["", ""], FormatOptions())


def test_a_hyphen_for_the_bytes_of_a_line_of_the_family_is_told() -> None:
    assert dash_for_bytes(["", LINE, LINE.replace(" 500", " -")])
    assert not dash_for_bytes([LINE, LINE + ' "-" "-"', "- - -"])
    # as Puma and Tomcat's %D write it: a column behind the bytes that the strict form does not have
    assert dash_for_bytes([LINE, LINE.replace(" 500", " - 0.0123")])
    assert dash_for_bytes([f"web-1  | {LINE.replace(' 500', ' - 0.0123')}"])
    assert not dash_for_bytes([LINE + " 0.0123", LINE.replace(" 206 500", " - -")])


def test_every_format_of_the_package_is_listed_by_its_own_name() -> None:
    modules = [import_module(f"{formats.__name__}.{each.name}") for each in iter_modules(formats.__path__)]
    made = {one.name for module in modules for one in vars(module).values() if isinstance(one, Format)}
    assert {name: FORMATS[name].name for name in FORMATS} == {name: name for name in made}
