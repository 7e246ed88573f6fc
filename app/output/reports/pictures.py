"""A report as a picture, .svg, and as one page to send, .html, which needs no other file and no network."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any

from app.output.reports.report import NO_ROWS, Report, for_people, kind_of

__all__ = ["as_html", "as_svg"]

_COLOUR = "#0a5cad"
_MOST_BARS = 40
"""More rows are not drawn as bars; a series of any length is drawn."""
_LONGEST_NAME = 48
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ report.title }}</title><style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1c2733; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .2rem .7rem; border-bottom: 1px solid #d9dfe5; text-align: right }
th.text, td.text { text-align: left; overflow-wrap: anywhere } thead th { border-bottom: 2px solid #1c2733 }
.about td { border: 0; padding: .05rem .7rem } .part { padding-left: 1.7rem } svg { max-width: 100%; height: auto }
</style></head><body><h1>{{ report.title }}</h1>
<table class="about">{% for name, value in report.head %}
<tr><td class="text{% if name.startswith(' ') %} part{% endif %}">{{ name.strip() }}</td><td class="text">{{ people(value, 'count') }}</td></tr>{% endfor %}
{% for name, value in totals %}<tr><td class="text">{{ name }}</td><td class="text">{{ value }}</td></tr>
{% endfor %}</table>
{{ picture }}
{% if report.rows %}<table><thead><tr>{% for column in report.columns %}<th class="{{ column.kind }}">{{ column.name }}</th>{% endfor %}</tr></thead><tbody>
{% for row in report.rows %}<tr>{% for column in report.columns %}<td class="{{ column.kind }}">{{ people(row[loop.index0], column.kind) }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table>{% else %}<p>{{ no_rows }}</p>{% endif %}
{% for sentence in report.definitions %}<p>{{ sentence }}</p>
{% endfor %}</body></html>
"""


def as_svg(report: Report) -> bytes:
    """Bars by the first column, a line for a series. The same report gives the same bytes; texts stay texts."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter

    out = BytesIO()
    with (
        mpl.rc_context({"svg.hashsalt": "report", "svg.fonttype": "none", "text.parse_math": False}),
        warnings.catch_warnings(),
    ):
        # texts stay texts: whoever shows the picture has the font
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        values = report.values_drawn
        bars = len(values) if report.is_series else min(len(values), _MOST_BARS)
        figure = Figure(figsize=(10, 4 if report.is_series else 1.2 + 0.24 * bars), dpi=100, layout="constrained")
        axes = figure.subplots()
        axes.set_title(report.title, fontsize=10)
        if report.is_series:
            _draw_series(axes, report, values)
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axes.set_ylabel(report.drawn)
        elif values:
            axes.barh(range(bars), values[:bars], color=_COLOUR)
            axes.set_yticks(range(bars), [_name(row[0]) for row in report.rows[:bars]], fontsize=8)
            axes.invert_yaxis()
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axes.set_xlabel(report.drawn)
        axes.spines[["top", "right"]].set_visible(False)
        FigureCanvasSVG(figure).print_figure(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _draw_series(axes: Any, report: Report, values: list[float]) -> None:
    places = range(len(values))
    axes.fill_between(places, values, color=_COLOUR, alpha=0.25, step="mid")
    axes.step(places, values, color=_COLOUR, where="mid")
    ticks = list(places)[:: max(1, -(-len(values) // 10))]
    axes.set_xticks(ticks, [_name(report.rows[at][0]) for at in ticks], fontsize=8, rotation=20)
    axes.set_ylim(bottom=0)


def _name(value: Any) -> str:
    text = for_people(value, "text") if isinstance(value, str) or value is None else str(value)
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"


def as_html(report: Report) -> bytes:
    """Every text is escaped; the picture is part of the page."""
    from jinja2 import Environment
    from markupsafe import Markup

    picture = ""
    if report.drawn and report.rows:
        _, _, svg = as_svg(report).decode().partition("<svg")
        picture = Markup("<svg" + svg)  # noqa: S704  # matplotlib escapes the texts in it
    totals = [(name, for_people(value, kind_of(value))) for name, value in report.totals]
    template = Environment(autoescape=True).from_string(_PAGE)
    return template.render(report=report, totals=totals, picture=picture, no_rows=NO_ROWS, people=for_people).encode(
        "utf-8", "backslashreplace"
    )
