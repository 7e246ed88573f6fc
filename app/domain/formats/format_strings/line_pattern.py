"""The pieces of a format string as one compiled pattern for whole lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum
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

__all__ = ["LinePattern", "Span", "SpanEnd", "line_pattern", "taken"]

Match = Callable[[str], "re.Match[str] | None"]

_QUOTED = r'[^"\\]*+(?:\\.[^"\\]*+)*+'
_DELIMITER = re.compile(r'["\[\](){}<>|;,^~\x00-\x1f\x7f-\U0010ffff]')
"""Behind a text without quotes one of these tells where it ends. Servers escape what is no printable ASCII in a value, or never have it."""
_DIGITS = "[0-9]+"
_USERS = frozenset({"u", "remote_user", "un", "ui", "ul"})
_LOGGED = r"|[^{stop} \t]*+(?<=:){end}|(?:(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}}|[0-9A-Fa-f]{{0,4}}(?::[0-9A-Fa-f]{{0,4}}){{2,7}}){end}"
"""What no user has in its name, behind a blank: a program with its colon, an address, a time. They are the head of a logger, whose first
word is no client."""
_PASSED_OVER = {Role.NONE, *OPTIONAL} - {Role.CONTENT_TYPE, Role.CONTENT_ENCODING}
"""A text of theirs without quotes ends at a blank: no line is lost for it."""
_ONE_EACH = [role for role in Role if role.value <= LAST_COLUMN.value]


class SpanEnd(Enum):
    """Where the value of a span ends, said without a pattern."""

    FIRST = "first"
    """Before the first of its stops."""
    QUOTED = "quoted"
    """The same, without stops that a backslash escapes."""
    LIST = "list"
    """The same, if no ` : ` follows, which goes on with a list."""
    PORT = "port"
    """Before the last colon that stands before the first of its stops; a value in brackets ends elsewhere."""
    BLANKS = "blanks"
    """Before the blanks that stand before the first of its stops."""


class Span(NamedTuple):
    """One variable of the strict pattern, so that it can be found in many lines at once: just where the pattern finds it."""

    role: Role | None
    stops: str
    """Characters; none: the value ends with the line."""
    after: str
    """What stands behind the value; its first character is one of the stops, or the next to come behind the blanks."""
    end: SpanEnd
    form: str
    """A pattern that the value fits, with the groups of its role; empty where the stops say all."""


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
    before: str
    """What stands before the first variable."""
    spans: tuple[Span, ...] | None
    """The variables in their order; None where one ends at a place that its pattern alone finds."""


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
        strict.before,
        None if None in strict.spans else tuple(span for span in strict.spans if span is not None),
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
        self.spans: list[Span | None] = []
        self._end: tuple[str, SpanEnd, str] | None = None
        """Stops, end and form of the variable that is being written, if they say where it ends."""
        self._count = 0
        self._lazy: list[str] = []
        self._open = False
        """An atomic group is open."""
        self.before = self._literal_at(0)
        self.text = self._written() + "(?:(?!)())?"
        self.none = self._count + 1

    def _written(self) -> str:
        text = self._literal(self._literal_at(0), first=True)
        quotes = self._literal_at(0).count('"')
        for number, at in enumerate(range(1, len(self._pieces), 2)):
            variable = self._pieces[at]
            assert isinstance(variable, Variable)
            following, role = self._literal_at(at + 1), self._roles.get(number)
            self._end = None
            text += self._variable(at, variable, role, in_quotes=quotes % 2 == 1)
            self.spans.append(self._span(role, following, last=at + 2 == len(self._pieces)))
            quotes += following.count('"')
            text += self._literal(following, last=at + 2 == len(self._pieces))
        return text + (r"\Z)" if self._open else "")

    def _span(self, role: Role | None, after: str, *, last: bool) -> Span | None:
        """None where the variable is not known to end at a stop."""
        if self._end is None:
            return None
        stops, end, form = self._end
        is_seen = end in (SpanEnd.PORT, SpanEnd.BLANKS) or after[:1] in stops
        is_plain = stops.isascii() and after.isascii() and not set(after) & {"\n", "\r"}
        return Span(role, stops, after, end, form) if is_seen and is_plain and (stops or last) else None

    def _until(self, stops: str) -> str:
        """A value of any other characters."""
        self._end = stops, SpanEnd.FIRST, ""
        return f"[^{re.escape(stops)}]*+"

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
            return self._date(variable, role, after)
        if quoted:
            return self._quoted(role, text=variable.word.text or variable.word.several)
        bare = self._group(role, self._bare(variable, after, following is None, in_quotes))
        if pad:
            self._end = None
            return pad + bare + r"(?: (?=[ ]))*+"
        return bare

    def _group(self, role: Role | None, pattern: str) -> str:
        if role is None:
            return f"(?:{pattern})"
        self._count += 1
        self.groups[role] = self._count
        return f"({pattern})"

    def _quoted(self, role: Role | None, *, text: bool) -> str:
        if self._strict or not text:
            self._end = '"', SpanEnd.QUOTED, ""
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
        pattern, stops = _time_pattern(clock, after, alone)
        if stops is not None and not variable.padded:
            self._end = stops, SpanEnd.FIRST, pattern
        if role is None:
            return re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern)
        self._count += 1
        self.groups[Role.TIME] = self._count
        if not alone:
            self._count += 1
            self.groups[Role.REST] = self._count
        return pattern

    def _date(self, variable: Variable, role: Role | None, after: str) -> str:
        pattern, stop = date_pattern(variable.word.date), after[:1]
        if not stop.isalnum() and (not stop or stop not in f" :+-/\t{variable.word.date}"):
            self._end = stop, SpanEnd.FIRST, pattern
        if role is None:
            return pattern
        self._count += 1
        self.dates.append(self._count)
        return f"({pattern})"

    def _beside(self, variable: Variable, following: Variable, role: Role | None) -> str:
        """Two variables without anything between them: where the second one begins must be seen by its own first character."""
        next_role = following.word.role
        if variable.word.role is Role.DATE:
            pattern = self._date(variable, role, "")
            self._end = None
            return pattern
        if next_role is Role.QUERY or following.name.strip("${}") == "is_args":
            return self._group(role, self._until(' "?'))
        if variable.name.strip("${}") == "is_args":
            return r"\??+"
        if next_role is Role.TARGET:
            return self._group(role, self._until(' "/'))
        raise FormatTextError(
            f"nothing stands between {variable.name} and {following.name}: lines do not tell where one ends"
        )

    def _bare(self, variable: Variable, after: str, last: bool, in_quotes: bool) -> str:
        """A value without quotes of its own."""
        word, stop = variable.word, after[:1]
        if word.role is Role.FRACTION:
            if not stop.isdigit():
                self._end = stop, SpanEnd.FIRST, _DIGITS
            return _DIGITS
        if last and not after and word.text:
            self._end = "", SpanEnd.FIRST, ""
            return ".*"
        if word.several and not in_quotes:
            if stop == ",":  # which begins the next column, or goes on with the list: only the columns behind tell
                return r'[^ ",]*+'
            one = rf'[^ ",\t{re.escape(stop)}]'
            self._end = ' ",\t' + stop, SpanEnd.LIST, ""
            return rf"{one}*+(?:(?:, ?| : ){one}++)*+"
        if word.text:
            return self._bare_text(variable, after, in_quotes)
        if stop == ":":
            self._end = ' "', SpanEnd.PORT, ""
            return r'\[[^\]\s]*+\]|[^ ":]*+(?::[^ ":]*+(?=:))*+'
        return self._until(' \t"' + stop)

    def _bare_text(self, variable: Variable, after: str, in_quotes: bool) -> str:
        strong = after.lstrip(" ")[:1]
        if in_quotes and after.startswith('"'):
            self._end = '"', SpanEnd.QUOTED, ""
            return _QUOTED
        if _DELIMITER.match(strong) or after.startswith("#"):
            if after.startswith(strong):
                return self._until(strong)
            stop = re.escape(strong)
            # blanks belong to the text unless the delimiter comes next: nothing is tried twice
            is_user = variable.name.strip("%${}[]<>") in _USERS
            pattern, form = (
                f"(?:[^{stop} \\t]|[ \\t]++(?!{stop}{_LOGGED.format(stop=stop, end=end) if is_user else ''}))*+"
                for end in (r"[ \t]", r"(?:[ \t]|\Z)")
            )
            if strong != "\t":
                self._end = strong, SpanEnd.BLANKS, form if is_user else ""
            return pattern
        if variable.word.role is Role.REQUEST:
            return r'[^ "]*+(?: [^ "]*+(?: [Hh][^ "]*+)?+)?+'
        if variable.word.role in _PASSED_OVER:
            return self._until(' \t"' + after[:1].strip())
        self._lazy.append(variable.name)
        if len(self._lazy) > 1:
            raise FormatTextError(
                f"{' and '.join(self._lazy)} hold blanks and have no quotes: lines do not tell where they end"
            )
        return ".*?"


def _time_pattern(clock: str, after: str, alone: bool) -> tuple[str, str | None]:
    """`after`: the literal behind the time. A time with blanks in it ends where that begins. Then the stops, if they tell its end."""
    stop = after[:1]
    ended = stop not in ("", " ")
    if clock == "epoch":
        if alone:
            return "([0-9]+|-)", None if stop.isdigit() else stop
        pattern = rf'([^ \t"\].,{re.escape(stop)}]*+)(?:\.([0-9]*+))?'
        return pattern, None if stop == "." else f' \t"],{stop}'
    if clock == "any":
        return (f"([^{re.escape(stop)}]*+)", stop) if ended else ("(.*)", None if stop else "")
    head = 17 if clock == "clf" else 16
    if ended:
        return f"([^{re.escape(stop)}]{{0,{head}}}+)([^{re.escape(stop)}]*+)", stop
    rest = r'[^ "]*+ [+-][0-9]{4}' if clock == "clf" else r'[^ \t"]*+'
    return rf'([^"]{{{head}}})({rest})', None if clock == "clf" else ' \t"'
