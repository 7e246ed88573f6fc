"""Votes as a picture. Matplotlib is imported with the first one: a worker that draws none does not pay for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, Literal

from app.web.counted.distribution import binned

__all__ = ["CANDIDATES", "COLUMNS", "draw"]

COLUMNS = 150
"""This many windows side by side at most; more are put together."""
CANDIDATES = 20
"""This many are drawn, those with most votes."""
_COLOURS = ("#0b7a6b", "#c4560a", "#0a5cad", "#8a4fae", "#a4161a", "#7a8794", "#e9a23b", "#2f6f3e")
_LONGEST_NAME = 24


def draw(value: Mapping[str, Any], names: Mapping[int, str], form: Literal["svg", "png"]) -> bytes:
    """Totals of the candidates, and their votes by window, stacked. Blocks for some tenths of a second: call it in a thread.

    In the SVG each bar is a group whose id tells what it shows: `total-CANDIDATE-VOTES` or `window-START-CANDIDATE-VOTES`.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    shown = _most_voted(value)
    out = BytesIO()
    # the same votes give the same bytes, and names are drawn as they are, without mathematics
    with mpl.rc_context({"svg.hashsalt": "votes", "svg.fonttype": "none", "text.parse_math": False}):
        figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
        canvas = FigureCanvasSVG(figure) if form == "svg" else FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2, width_ratios=(1, 2.4))
        _totals(left, shown, names)
        _windows(right, shown, names)
        canvas.print_figure(out, format=form, metadata={"Date": None} if form == "svg" else {})
    return out.getvalue()


def _most_voted(value: Mapping[str, Any]) -> dict[str, Any]:
    """The same of the candidates that there is room for."""
    most = {row[0] for row in sorted(value["totals"], key=lambda row: -row[1])[:CANDIDATES]}
    totals = [row for row in value["totals"] if row[0] in most]
    left_out = len(value["totals"]) - len(totals)
    windows = [row for row in value["windows"] if row[1] in most]
    return {
        **value,
        "totals": totals,
        "windows": windows,
        "left_out": left_out,
        "all": sum(row[1] for row in value["totals"]),
    }


def _label(candidate: int, names: Mapping[int, str]) -> str:
    name = "".join(char if char.isprintable() else " " for char in names.get(candidate) or f"candidate {candidate}")
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _totals(axes: Any, value: Mapping[str, Any], names: Mapping[int, str]) -> None:
    rows = value["totals"]
    more = f"; {value['left_out']:,} candidates not shown" if value["left_out"] else ""
    axes.set_title(f"{value['all']:,} votes, {value['last_10_min']:,} in the last 10 minutes{more}", fontsize=9)
    for place, (candidate, number) in enumerate(rows):
        (bar,) = axes.bar(place, number, color=_COLOURS[place % len(_COLOURS)])
        bar.set_gid(f"total-{candidate}-{number}")
        axes.annotate(f"{number:,}", (place, number), ha="center", va="bottom", fontsize=8)
    axes.set_xticks(range(len(rows)), [_label(candidate, names) for candidate, _ in rows], rotation=20, fontsize=8)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)


def _windows(axes: Any, value: Mapping[str, Any], names: Mapping[int, str]) -> None:
    length_s, by_candidate = binned(value["windows"], value["window_s"], COLUMNS)
    starts = sorted({start for of in by_candidate.values() for start in of})
    height = dict.fromkeys(starts, 0)
    order = [candidate for candidate, _ in value["totals"]]
    for candidate, of in sorted(by_candidate.items()):
        colour = _COLOURS[order.index(candidate) % len(_COLOURS)] if candidate in order else _COLOURS[-1]
        label = _label(candidate, names)
        for start, number in sorted(of.items()):
            (bar,) = axes.bar(start, number, length_s * 0.9, height[start], align="edge", color=colour, label=label)
            bar.set_gid(f"window-{start}-{candidate}-{number}")
            height[start] += number
            label = "_"
    axes.set_title(f"by windows of {length_s / 60:g} min, UTC", fontsize=9)
    if starts:
        ticks = starts[:: max(1, len(starts) // 6)]
        axes.set_xticks(
            ticks,
            [datetime.fromtimestamp(start, UTC).strftime("%d %b %H:%M") for start in ticks],
            rotation=20,
            fontsize=8,
        )
        axes.legend(fontsize=8, frameon=False)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
