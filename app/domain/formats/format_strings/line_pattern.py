"""The pieces of a format string as one compiled pattern for whole lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.domain.formats.format_strings.dates import date_pattern
from app.domain.formats.format_strings.words import (
    LAST_COLUMN,
    OPTIONAL,
    FormatTextError,
    Literal,
    Piece,
    Role,
    Variable,
)

__all__ = ["LinePattern", "line_pattern", "taken"]

Match = Callable[[str], "re.Match[str] | None"]

_QUOTED = r'[^"\\]*+(?:\\.[^"\\]*+)*+'
_DELIMITERS = frozenset('"[](){}<>|;,\t\x1f\0^~')
"""Behind a text without quotes one of these tells where it ends."""
_PASSED_OVER = {Role.NONE, *OPTIONAL} - {Role.CONTENT_TYPE, Role.CONTENT_ENCODING}
"""A text of theirs without quotes ends at a blank: no line is lost for it."""
_ONE_EACH = [role for role in Role if role.value <= LAST_COLUMN.value]


class LinePattern(NamedTuple):
    """How the columns of a line are found. All patterns take linear time, whatever the line."""

    match: Match
    match_damaged: Match
    """For lines with tabs, runs of blanks or quotes that nobody escaped."""
    order: tuple[int, ...]
    """The group of each Role up to LAST_COLUMN; where there is none, a group that never takes part."""
    dates: tuple[int, ...]
    """The groups of the parts of a date, in their order."""
    fraction: int
    """The group of the fraction that belongs to them, or the one that never takes part."""


def taken(variables: Sequence[Variable]) -> dict[int, Role]:
    """Which variables give a field: their places in `variables` to the role. Of several for one role the best is taken."""
    best: dict[Role, int] = {}
    for at, variable in enumerate(variables):
        role, rank = variable.word.role, variable.word.rank
        if role.value <= LAST_COLUMN.value and (role not in best or rank < variables[best[role]].word.rank):
            best[role] = at
    found = {at: role for role, at in best.items()}
    dates = [at for at, variable in enumerate(variables) if variable.word.role is Role.DATE]
    fractions = [at for at, variable in enumerate(variables) if variable.word.role is Role.FRACTION]
    if Role.TIME in best:
        if variables[best[Role.TIME]].word.clock == "epoch" and fractions:
            found[fractions[0]] = Role.REST
    elif dates:
        least = min(variables[at].word.rank for at in dates)
        chosen = [at for at in dates if variables[at].word.rank == least]
        found |= dict.fromkeys(chosen, Role.DATE)
        later = [at for at in fractions if at > chosen[0]]
        if later:
            found[later[0]] = Role.FRACTION
    return found


def line_pattern(pieces: Sequence[Piece]) -> LinePattern:
    """The pattern of a text. Raises FormatTextError where nothing tells two variables apart."""
    pieces = _joined_literals(pieces)
    roles = taken([piece for piece in pieces if isinstance(piece, Variable)])
    strict, damaged = _Writer(pieces, roles, strict=True), _Writer(pieces, roles, strict=False)
    return LinePattern(
        re.compile(strict.text, re.DOTALL).fullmatch,
        re.compile(damaged.text, re.DOTALL).fullmatch,
        tuple(strict.groups.get(role, strict.none) for role in _ONE_EACH),
        tuple(strict.dates),
        strict.groups.get(Role.FRACTION, strict.none),
    )


def _joined_literals(pieces: Sequence[Piece]) -> list[Piece]:
    """One literal before, between and behind all variables, though it may be empty."""
    joined: list[Piece] = [Literal("")]
    for piece in pieces:
        last = joined[-1]
        if isinstance(piece, Variable):
            joined += [piece] if isinstance(last, Literal) else [Literal(""), piece]
        elif isinstance(last, Literal):
            joined[-1] = Literal(last.text + piece.text)
        else:
            joined.append(piece)
    return joined if isinstance(joined[-1], Literal) else [*joined, Literal("")]


class _Writer:
    """Writes the pattern from left to right. `strict`: for lines as the server writes them."""

    def __init__(self, pieces: Sequence[Piece], roles: dict[int, Role], *, strict: bool) -> None:
        self._pieces, self._roles, self._strict = pieces, roles, strict
        self.groups: dict[Role, int] = {}
        self.dates: list[int] = []
        self._count = 0
        self._lazy: list[str] = []
        self._open = False
        """An atomic group is open."""
        self.text = self._written() + "(?:(?!)())?"
        self.none = self._count + 1

    def _written(self) -> str:
        text = self._literal(self._literal_at(0), first=True)
        quotes = self._literal_at(0).count('"')
        for number, at in enumerate(range(1, len(self._pieces), 2)):
            variable = self._pieces[at]
            assert isinstance(variable, Variable)
            text += self._variable(at, variable, self._roles.get(number), in_quotes=quotes % 2 == 1)
            following = self._literal_at(at + 1)
            quotes += following.count('"')
            text += self._literal(following, last=at + 2 == len(self._pieces))
        return text + (r"\Z)" if self._open else "")

    def _literal_at(self, at: int) -> str:
        piece = self._pieces[at]
        assert isinstance(piece, Literal)
        return piece.text

    def _literal(self, text: str, *, first: bool = False, last: bool = False) -> str:
        if self._strict:
            return re.escape(text)
        written = "".join(
            r"[ \t]++" if part.isspace() else re.escape(part) for part in re.findall(r"[ \t]+|[^ \t]+", text)
        )
        return (r"[ \t]*+" if first else "") + written + (r"[ \t]*+" if last else "")

    def _variable(self, at: int, variable: Variable, role: Role | None, *, in_quotes: bool) -> str:
        before, after = self._literal_at(at - 1), self._literal_at(at + 1)
        following = self._pieces[at + 2] if at + 2 < len(self._pieces) else None
        quoted = in_quotes and before.endswith('"') and after.startswith('"')
        pad = "[ ]*+" if variable.padded else ""
        if not after and isinstance(following, Variable):
            return pad + self._beside(variable, following, role)
        if variable.word.role is Role.TIME:
            return pad + self._time(variable, after, role)
        if variable.word.role is Role.DATE:
            return self._date(variable, role)
        if quoted:
            return self._quoted(role, text=variable.word.text or variable.word.several)
        return (
            pad
            + self._group(role, self._bare(variable, after, following is None, in_quotes))
            + (r"(?: (?=[ ]))*+" if pad else "")
        )

    def _group(self, role: Role | None, pattern: str) -> str:
        if role is None:
            return f"(?:{pattern})"
        self._count += 1
        self.groups[role] = self._count
        return f"({pattern})"

    def _quoted(self, role: Role | None, *, text: bool) -> str:
        if self._strict or not text:
            return self._group(role, _QUOTED)
        # the shortest text behind which the next columns fit, and what was found is not tried again; a quote, a blank and
        # a quote are the border of two columns, so that a line with more columns than the format is none of its lines
        close = ")" if self._open else ""
        self._open = True
        return f"{close}(?>" + self._group(role, r'(?:[^"]|"(?![ \t]++"))*?')

    def _time(self, variable: Variable, after: str, role: Role | None) -> str:
        """The two parts of a time, or one where the rest is a word of its own or the clock takes all."""
        clock = variable.word.clock
        alone = clock == "any" or (clock == "epoch" and Role.REST in self._roles.values())
        pattern = _time_pattern(clock, after, alone)
        if role is None:
            return re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern)
        self._count += 1
        self.groups[Role.TIME] = self._count
        if not alone:
            self._count += 1
            self.groups[Role.REST] = self._count
        return pattern

    def _date(self, variable: Variable, role: Role | None) -> str:
        if role is None:
            return date_pattern(variable.word.date)
        self._count += 1
        self.dates.append(self._count)
        return f"({date_pattern(variable.word.date)})"

    def _beside(self, variable: Variable, following: Variable, role: Role | None) -> str:
        """Two variables without anything between them: where the second one begins must be seen by its own first character."""
        next_role = following.word.role
        if variable.word.role is Role.DATE:
            return self._date(variable, role)
        if next_role is Role.QUERY or following.name.strip("${}") == "is_args":
            return self._group(role, r'[^ "?]*+')
        if variable.name.strip("${}") == "is_args":
            return r"\??+"
        if next_role is Role.TARGET:
            return self._group(role, r'[^ "/]*+')
        raise FormatTextError(
            f"nothing stands between {variable.name} and {following.name}: lines do not tell where one ends"
        )

    def _bare(self, variable: Variable, after: str, last: bool, in_quotes: bool) -> str:
        """A value without quotes of its own."""
        word, stop = variable.word, after[:1]
        if word.role is Role.FRACTION:
            return "[0-9]+"
        if last and not after and word.text:
            return ".*"
        if word.several and not in_quotes:
            return r'[^ ",]*+(?:(?:, ?| : )[^ ",]++)*+'
        if word.text:
            return self._bare_text(variable, after, in_quotes)
        if stop == ":":
            return r'\[[^\]\s]*+\]|[^ ":]*+(?::[^ ":]*+(?=:))*+'
        return rf'[^ \t"{re.escape(stop)}]*+' if stop else r'[^ \t"]*+'

    def _bare_text(self, variable: Variable, after: str, in_quotes: bool) -> str:
        strong = after.lstrip(" ")[:1]
        if in_quotes and after.startswith('"'):
            return _QUOTED
        if strong in _DELIMITERS:
            stop = re.escape(strong)
            # blanks belong to the text unless the delimiter comes next: nothing is tried twice
            return f"[^{stop}]*+" if after.startswith(strong) else f"(?:[^{stop} \\t]|[ \\t]++(?!{stop}))*+"
        if variable.word.role is Role.REQUEST:
            return r'[^ "]*+(?: [^ "]*+(?: [Hh][^ "]*+)?+)?+'
        if variable.word.role in _PASSED_OVER:
            return rf'[^ \t"{re.escape(after[:1].strip())}]*+'
        self._lazy.append(variable.name)
        if len(self._lazy) > 1:
            raise FormatTextError(
                f"{' and '.join(self._lazy)} hold blanks and have no quotes: lines do not tell where they end"
            )
        return ".*?"


def _time_pattern(clock: str, after: str, alone: bool) -> str:
    """`after`: the literal behind the time. A time with blanks in it ends where that begins."""
    stop = after[:1]
    ended = stop not in ("", " ")
    if clock == "epoch":
        return "([0-9]+|-)" if alone else rf'([^ \t"\].,{re.escape(stop)}]*+)(?:\.([0-9]*+))?'
    if clock == "any":
        return f"([^{re.escape(stop)}]*+)" if ended else "(.*)"
    head = 17 if clock == "clf" else 16
    if ended:
        return f"([^{re.escape(stop)}]{{0,{head}}}+)([^{re.escape(stop)}]*+)"
    rest = r'[^ "]*+ [+-][0-9]{4}' if clock == "clf" else r'[^ \t"]*+'
    return rf'([^"]{{{head}}})({rest})'
