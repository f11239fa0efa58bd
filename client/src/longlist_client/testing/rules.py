"""What the mock takes as the members of a request.

A rule reads a value as it was sent, or raises Bad with the issue code and message. The limits are
those of the API; the finer points of its text rules (invisible characters, bidi) are left out.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from longlist_client.testing.refusals import invalid

Rule = Callable[[Any], Any]
_ID: Final = re.compile(r"[0-9a-f]{24}")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_OF_LINES: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Bad(Exception):
    """A value breaks its rule."""

    def __init__(self, code: str, message: str, inside: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.inside = inside


class Member(NamedTuple):
    """A member of a body. `nullable`: null says something else than leaving it out."""

    rule: Rule
    required: bool = False
    nullable: bool = False


def _string(raw: Any) -> str:
    if not isinstance(raw, str):
        raise Bad("wrong_type", "The value must be a string.")
    return unicodedata.normalize("NFC", raw)


def one_line(longest: int) -> Rule:
    """Text on one line, trimmed, with something in it."""

    def rule(raw: Any) -> str:
        text = _string(raw).strip()
        if not text:
            raise Bad("too_short", "The text must not be empty.")
        if len(text) > longest:
            raise Bad("too_long", f"The text must have at most {longest} characters.")
        if _CONTROL.search(text):
            raise Bad("invalid_characters", "The text has control characters.")
        return text

    return rule


def multi_line(longest: int) -> Rule:
    """Text on several lines; None when there is none."""

    def rule(raw: Any) -> str | None:
        if raw is None:
            return None
        text = _string(raw).replace("\r\n", "\n").replace("\r", "\n")
        if len(text) > longest:
            raise Bad("too_long", f"The text must have at most {longest} characters.")
        if _CONTROL_OF_LINES.search(text):
            raise Bad("invalid_characters", "The text has control characters.")
        return text if text.strip() else None

    return rule


name: Final = one_line(255)
description: Final = multi_line(2_000)


def one_of(*choices: str) -> Rule:
    """One of these texts."""

    def rule(raw: Any) -> str:
        if not isinstance(raw, str):
            raise Bad("wrong_type", "The value must be a string.")
        if raw not in choices:
            raise Bad("invalid_choice", f"The value must be one of {', '.join(choices)}.")
        return raw

    return rule


def an_id(raw: Any) -> str:
    """24 lowercase hex characters."""
    if not isinstance(raw, str):
        raise Bad("wrong_type", "The value must be a string.")
    if not _ID.fullmatch(raw):
        raise Bad("invalid_format", "The value must be 24 lowercase hex characters.")
    return raw


def integer(lowest: int, highest: int) -> Rule:
    """A whole number within bounds; a query parameter is digits."""

    def rule(raw: Any) -> int:
        if isinstance(raw, float) and raw.is_integer():
            raw = int(raw)
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise Bad("wrong_type", "The value must be a whole number.")
        if not lowest <= raw <= highest:
            raise Bad("out_of_range", f"The value must be from {lowest} to {highest}.")
        return raw

    return rule


def boolean(raw: Any) -> bool:
    """True or false."""
    if not isinstance(raw, bool):
        raise Bad("wrong_type", "The value must be true or false.")
    return raw


def digits(lowest: int, highest: int) -> Rule:
    """A query parameter that is a whole number."""
    within = integer(lowest, highest)

    def rule(raw: str) -> int:
        if not (raw.isascii() and raw.isdigit()):
            raise Bad("wrong_type", "The value must be decimal digits.")
        result: int = within(int(raw))
        return result

    return rule


def flag(raw: str) -> bool:
    """A query parameter that is true or false."""
    if raw not in ("true", "false"):
        raise Bad("wrong_type", "The value must be true or false.")
    return raw == "true"


def list_of(rule: Rule, longest: int) -> Rule:
    """1 to `longest` values."""

    def read(raw: Any) -> list[Any]:
        if not isinstance(raw, list):
            raise Bad("wrong_type", "The value must be an array.")
        if not raw:
            raise Bad("too_short", "The array must not be empty.")
        if len(raw) > longest:
            raise Bad("too_long", f"The array must have at most {longest} items.")
        found = []
        for at, item in enumerate(raw):
            try:
                found.append(rule(item))
            except Bad as bad:
                raise Bad(bad.code, bad.message, f"[{at}]{bad.inside}") from bad
        return found

    return read


def object_of(members: Mapping[str, Member]) -> Rule:
    """An object with these members and no other; what is null is left out."""

    def read(raw: Any) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise Bad("wrong_type", "The value must be an object.")
        for member in raw:
            if member not in members:
                raise Bad("unknown_field", "There is no such member.", f".{member}")
        found = {}
        for member, (rule, required, _) in members.items():
            if raw.get(member) is None:
                if required:
                    raise Bad("required", "The member is required.", f".{member}")
                continue
            try:
                found[member] = rule(raw[member])
            except Bad as bad:
                raise Bad(bad.code, bad.message, f".{member}{bad.inside}") from bad
        return found

    return read


def raw_text(raw: Any) -> str:
    """A string that is judged later."""
    if not isinstance(raw, str):
        raise Bad("wrong_type", "The value must be a string.")
    return raw


def mapping(raw: Any) -> dict[str, str | None]:
    """An object of texts or nulls."""
    if not isinstance(raw, dict) or not all(
        value is None or isinstance(value, str) for value in raw.values()
    ):
        raise Bad("wrong_type", "The value must be an object of strings and nulls.")
    return raw


def linkedin_url(*beginnings: str) -> Rule:
    """An https URL on linkedin.com whose path begins like one of these."""

    def rule(raw: Any) -> str:
        text = _string(raw)
        url = urlsplit(text)
        host = url.hostname or ""
        on_linkedin = host == "linkedin.com" or host.endswith(".linkedin.com")
        if url.scheme != "https" or not on_linkedin or not url.path.startswith(beginnings):
            raise Bad("invalid_format", "The value must be an https URL on linkedin.com.")
        return text

    return rule


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Bad("duplicate_key", "A member stands twice.")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def read_object(content: bytes) -> dict[str, Any]:
    """The JSON object of a body."""
    try:
        found = json.loads(
            content.decode(), object_pairs_hook=_unrepeated, parse_constant=_no_constant
        )
    except Bad as bad:
        raise invalid(("", bad.code, bad.message)) from bad
    except (ValueError, RecursionError) as error:
        raise invalid(("", "syntax", "The body is not JSON.")) from error
    if not isinstance(found, dict):
        raise invalid(("", "wrong_type", "The body must be an object."))
    return found


def read_body(
    sent: Mapping[str, Any],
    members: Mapping[str, Member],
    *,
    not_settable: frozenset[str] = frozenset(),
    is_update: bool = False,
) -> dict[str, Any]:
    """The members that were sent, read; in an update null clears, elsewhere it is as missing."""
    issues = []
    found = {}
    for member in sent:
        if member in not_settable:
            issues.append((member, "not_settable", f"{member} cannot be set here."))
        elif member not in members:
            issues.append((member[:64], "unknown_field", "There is no such member."))
    for member, (rule, required, nullable) in members.items():
        if member not in sent or (sent[member] is None and not is_update):
            if required:
                issues.append((member, "required", f"{member} is required."))
            continue
        if sent[member] is None and not nullable:
            issues.append((member, "null_not_allowed", f"{member} cannot be null."))
            continue
        try:
            found[member] = rule(sent[member])
        except Bad as bad:
            issues.append((member + bad.inside, bad.code, bad.message))
    if not issues and is_update and not found:
        issues.append(("", "at_least_one", "Send at least one member."))
    if issues:
        raise invalid(*issues)
    return found


def read_query(text: str, parameters: Mapping[str, Rule], status: int = 400) -> dict[str, Any]:
    """The parameters of a query string, read."""
    issues = []
    found: dict[str, Any] = {}
    for parameter, value in parse_qsl(text, keep_blank_values=True):
        field = f"query.{parameter[:64]}"
        if parameter not in parameters:
            issues.append((field, "unknown_parameter", "There is no such parameter."))
        elif parameter in found:
            issues.append((field, "repeated_parameter", "The parameter stands twice."))
        else:
            try:
                if not value:
                    raise Bad("too_short", "The parameter must not be empty.")
                found[parameter] = parameters[parameter](value)
            except Bad as bad:
                found[parameter] = None
                issues.append((field, bad.code, bad.message))
    if issues:
        raise invalid(*issues, status=status)
    return found
