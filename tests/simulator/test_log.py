"""A simulated log is a function of its plan, has exactly the lines asked for, and holds what a real log holds."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from simulator import truth
from simulator.lines import FORMATS
from simulator.log import SHAPES, LogPlan, SimulatedLog
from simulator.stories import STORIES, cut, tell
from simulator.truth import WindowRule
from tests.simulator.integers import runs_of
from tests.together import together
from tests.trees import tree_of

Key = tuple[str, str, str]


def _text(plan: LogPlan, **options: Any) -> str:
    log = SimulatedLog(plan, **options)
    return log.head() + "".join(log.blocks())


def _times(text: str) -> list[str]:
    return [line.split("\t")[1] for line in text.splitlines()[1:]]


@together("lines", [0, 1, 2, 3, 10, 99, 1000])
@together("form", FORMATS)
def test_a_log_has_exactly_the_lines_asked_for_and_a_head_line_where_the_format_has_one(lines: int, form: str) -> None:
    text = _text(LogPlan(lines, 3, "mixed", form))
    assert text.count("\n") == lines + (form == "weblog_tsv")
    assert text == "" or text.endswith("\n")


def test_the_same_plan_makes_the_same_log_and_another_seed_another() -> None:
    first: list[dict[str, Any]] = []
    second: list[dict[str, Any]] = []
    assert _text(LogPlan(500, 7), tell_answer=first.append) == _text(LogPlan(500, 7), tell_answer=second.append)
    assert first == second
    assert _text(LogPlan(500, 7)) != _text(LogPlan(500, 8))


def test_every_shape_is_the_same_lines_in_its_own_order() -> None:
    texts = {shape: _text(LogPlan(2000, 5, shape)) for shape in SHAPES}
    bodies = {shape: Counter(re.sub(r" HTTP/\d\.\d", "", text).splitlines()) for shape, text in texts.items()}
    assert len(set(map(str, map(sorted, (body.items() for body in bodies.values()))))) == 1
    times = {shape: _times(text) for shape, text in texts.items()}
    assert times["sequential"] == sorted(times["sequential"])
    assert times["reverse"] == sorted(times["reverse"], reverse=True)
    assert times["mixed"] != sorted(times["mixed"])
    assert times["random"] != sorted(times["random"])


def test_a_mixed_log_is_hardly_out_of_order_but_some_lines_are_late() -> None:
    log = SimulatedLog(LogPlan(5000, 5, "mixed"))
    times = [log._visits[0][number] for number in log._order]
    latest, behind = 0, []
    for time in times:
        latest = max(latest, time)
        behind.append(latest - time)
    assert max(behind) > 300
    assert sum(late > 10 for late in behind) < len(times) / 20


def test_a_log_spans_days_and_has_about_an_eighth_as_many_keys_as_lines() -> None:
    log = SimulatedLog(LogPlan(20_000, 2))
    times, clients, files = log._visits[:3]
    assert max(times) - min(times) > 2 * 86_400
    keys = set(zip(clients, files, strict=True))
    assert 20_000 / 11 < len(keys) < 20_000 / 6
    assert len({(client.ip_address, client.user_agent) for client in log.clients}) == len(log.clients)


def test_agents_with_underscores_quotes_and_other_letters_and_ipv6_are_in_it() -> None:
    text = _text(LogPlan(3000, 2))
    assert "my_player_" in text
    assert 'Odd "quoted" player' in text
    assert "Küche" in text
    assert "\t2001:db8:" in text
    combined = _text(LogPlan(3000, 2, "mixed", "combined_range"))
    assert r"Odd \"quoted\" player" in combined


def test_responses_that_must_not_count_are_in_it() -> None:
    text = _text(LogPlan(20_000, 2))
    statuses = Counter(line.split("\t")[5] for line in text.splitlines()[1:])
    assert {"200", "206", "404", "416", "500"} <= set(statuses)
    assert "\tHEAD /" in text


def test_transfers_are_cut_off_where_the_log_has_bytes() -> None:
    text = _text(LogPlan(5000, 2, "mixed", "combined_range"))
    cut_off = whole = 0
    for sent, lo, hi in re.findall(r'" 206 (\d+) "-" .*"bytes (\d+)-(\d+)/\d+"', text):
        cut_off += int(sent) < int(hi) - int(lo) + 1
        whole += int(sent) == int(hi) - int(lo) + 1
    assert cut_off > 5
    assert whole > 3000


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_answers_agree_with_the_text_read_back_and_merged_as_sets(form: str, seed: int) -> None:
    told: list[dict[str, Any]] = []
    text = _text(LogPlan(400, seed, "random", form), rule=WindowRule("all"), tell_answer=told.append)
    held: dict[Key, list[tuple[int, int]]] = defaultdict(list)
    starts: dict[Key, int] = {}
    sized: set[Key] = set()
    for ip, agent, request, status, lo, hi, total in _read_back(text, form):
        key = ip, agent, request.removesuffix(" HTTP/1.1").removesuffix(" HTTP/2.0")
        if status not in ("200", "206") or request.startswith("HEAD "):
            continue
        if total is not None:
            sized.add(key)
        if lo is not None:
            held[key].append((lo, hi))
        elif status == "200":
            starts[key] = max(starts.get(key, -1), hi)
    for key, hi in starts.items():  # whole, if ranges beside them name the size
        held[key].append((0, hi if key in sized else hi - (8 << 20)))
    expected = {key: _merged(spans) for key, spans in held.items()}
    found = {(one["ip_address"], one["user_agent"], one["request"]): one["ranges"] for one in told}
    assert {key: ranges for key, ranges in found.items() if ranges} == {
        key: runs for key, runs in expected.items() if runs
    }


def _read_back(text: str, form: str) -> Iterator[tuple[str, str, str, str, int | None, int, int | None]]:
    """(ip, agent, request, status, lo, hi, size) of each line; lo is None without a range; hi as far as bytes surely arrived:
    of an answer that broke, and of one that names no size, all but the last 8 MiB sent."""
    if form == "weblog_tsv":
        for line in text.splitlines()[1:]:
            _, _, ip, agent, request, status, span = line.split("\t")
            lo, hi = span.split("-")
            yield ip, agent, request, status, int(lo), int(hi), None
        return
    pattern = re.compile(
        r'(\S+) - - \[[^]]+\] "([^"]*)" (\d+) (\d+) "-" "((?:[^"\\]|\\.)*)" "(?:bytes (?:(\d+)-(\d+)|\*)/(\d+)|-)"'
    )
    for line in text.splitlines():
        found = pattern.fullmatch(line)
        assert found is not None
        ip, request, status, sent, agent, lo, hi, total = found.groups()
        whole = lo is not None and int(lo) + int(sent) > int(hi)
        sure = (int(lo or 0) + int(sent) - 1) - (8 << 20)
        size = None if total is None else int(total)
        if lo is None:
            yield ip, agent, request, status, None, int(sent) - 1, size
        else:
            yield ip, agent, request, status, int(lo), int(hi) if whole else sure, size


def _merged(spans: list[tuple[int, int]]) -> list[list[int]]:
    """Merged by joining until nothing touches: quadratic, for small cases."""
    runs = [list(span) for span in spans if span[1] >= span[0]]
    joined = True
    while joined:
        joined = False
        for one in runs:
            for other in runs:
                if one is not other and one[0] <= other[1] + 1 and other[0] <= one[1] + 1:
                    one[:] = [min(one[0], other[0]), max(one[1], other[1])]
                    runs = [run for run in runs if run is not other]
                    joined = True
                    break
            if joined:
                break
    return sorted(runs)


@together("story", STORIES)
@together("has_bytes", [True, False])
def test_every_story_stays_within_the_file(story: str, has_bytes: bool) -> None:
    from random import Random

    rng = Random(f"{story}{has_bytes}")
    for size in (16, 17, 1000, 2**40):
        for pause, status, lo, hi, sent, total, _ in (
            request for _ in range(30) for request in tell(rng, size, has_bytes, story)
        ):
            assert pause >= 0
            assert total in (-1, size, size + 1000)
            assert status == 416 or -1 <= lo <= hi < size or (lo == size and sent == 0)
            assert sent >= 0


def test_stories_have_the_holes_they_are_named_for() -> None:
    from random import Random

    rng = Random(4)
    for _ in range(50):
        covered = {name: _covered(tell(rng, 500, False, name)) for name in STORIES}
        whole = [[0, 499]]
        for name in (
            "in_order",
            "in_one",
            "reversed",
            "shuffled",
            "repeated",
            "overlapping",
            "shared_border",
            "probe_then_rest",
            "whole",
        ):
            assert covered[name] == whole, name
        assert covered["no_start"][0][0] > 0
        assert covered["no_start"][-1][1] == 499
        assert covered["no_end"][0][0] == 0
        assert covered["no_end"][-1][1] < 499
        assert len(covered["no_middle"]) == 2
        assert covered["probe"] == [[0, 1]]


def _covered(requests: Iterable[tuple[Any, ...]]) -> list[list[int]]:
    return runs_of({number for _, _, lo, hi, *_ in requests for number in range(lo, hi + 1)})


def test_pieces_cover_the_file_side_by_side() -> None:
    from random import Random

    rng = Random(1)
    for size in (1, 2, 3, 100, 12345):
        for _ in range(20):
            pieces = cut(rng, size)
            assert pieces[0][0] == 0
            assert pieces[-1][1] == size - 1
            assert all(before[1] + 1 == after[0] for before, after in pairwise(pieces))


def test_the_truth_shares_no_code_with_the_domain() -> None:
    folder = Path(truth.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(tree_of(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith("app.")], path
