"""Templates: Jinja2 with everything escaped, and what they may ask for."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from longlist.admin import PATH, assets, charts, words
from longlist.ids import now_ms

if TYPE_CHECKING:
    from longlist.admin.visit import View, Visit

_SPANS: Final = ((86_400, "day"), (3_600, "h"), (60, "min"))
_SPAN_DAYS: Final = 7


def render(visit: Visit, view: View) -> str:
    """The HTML of a view."""
    return (
        _environment()
        .get_template(view.template)
        .render(
            visit=visit,
            layout="bare.html" if visit.is_htmx else "base.html",
            level=2 if visit.is_htmx else 1,
            user=None if visit.session is None else visit.session.user,
            group=visit.group,
            nav_group=visit.group or visit.last_group,
            groups=visit.groups,
            csrf=visit.csrf,
            here="" if visit.group is None else visit.here,
            **view.values,
        )
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(
        admin=PATH,
        asset=lambda name: f"{PATH}/static/{assets.names()[name]}",
        words=words,
        chart=charts,
        query=_query,
    )
    made.filters.update(when=when, number=number, initials=initials, percent=percent, size=size)
    return made


def _query(**parameters: Any) -> str:
    """A query of the parameters that are there, with its question mark; empty without any."""
    given = {name: value for name, value in parameters.items() if value}
    return "?" + urlencode(given) if given else ""


def when(at: str | int | None) -> Markup:
    """An instant as a `time` element: how long ago or ahead, or the day. Exact in its title."""
    if at is None:
        return Markup('<span class="none">never</span>')
    seconds = at / 1000 if isinstance(at, int) else datetime.fromisoformat(at).timestamp()
    instant = datetime.fromtimestamp(seconds, UTC)
    exact = f"{instant:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        instant.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        exact,
        _shown(instant, round(now_ms() / 1000 - seconds)),
    )


def _shown(instant: datetime, ago_s: int) -> str:
    if abs(ago_s) < _SPAN_DAYS * 86_400:
        for length, name in _SPANS:
            if count := abs(ago_s) // length:
                span = f"{count} {name}{'s' if name == 'day' and count > 1 else ''}"
                return f"{span} ago" if ago_s > 0 else f"in {span}"
        return "just now" if ago_s >= 0 else "in a moment"
    return f"{instant.day} {instant:%b %Y}"


def number(value: int) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def percent(part: float) -> str:
    """A part of one in per cent, rounded down: 100 % is said of what is done."""
    return f"{int(part * 100)}\u202f%"


def size(count: int) -> str:
    """Bytes in the unit that suits them."""
    value, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    digits = 0 if unit == "bytes" or value >= 10 or value == int(value) else 1
    return f"{value:.{digits}f} {unit}"


def initials(name: str | None) -> str:
    """Up to two letters for a person without a picture."""
    letters = [word[0] for word in (name or "").split() if word[0].isalnum()]
    return "".join(letters if len(letters) < 2 else (letters[0], letters[-1])).upper()
