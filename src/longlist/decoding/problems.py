"""What is wrong with a request, gathered from the inside out, and the 400 made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from longlist.errors import Issue, ValidationFailed
from longlist.text import BadText


class Problem(NamedTuple):
    """One thing wrong: `path` is relative to the value that was read, `""` for the value itself.

    `advice` says what to do where the code alone does not.
    """

    path: str
    code: str
    message: str
    advice: str = ""


class Rejected(Exception):
    """A value breaks its rule, in one or more places."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems: Final = problems


def reject(code: str, message: str) -> Rejected:
    """The exception for one problem with the value itself."""
    return Rejected(Problem("", code, message))


def under(parent: str, error: BadText | Rejected) -> Iterator[Problem]:
    """The problems of an inner value, with their paths seen from outside."""
    if isinstance(error, BadText):
        yield Problem(parent, error.code, error.message)
        return
    for problem in error.problems:
        yield problem._replace(path=join(parent, problem.path))


def join(parent: str, path: str) -> str:
    """`company` and `name` make `company.name`, `profileUrls` and `[3]` make `profileUrls[3]`."""
    separator = "" if not parent or not path or path.startswith("[") else "."
    return f"{parent}{separator}{path}"


def run_check(issues: Iterable[Issue]) -> None:
    """Raises Rejected when a `check` hook has found something."""
    problems = [Problem(issue.field, issue.code, issue.message) for issue in issues]
    if problems:
        raise Rejected(*problems)


_ADVICE: Final = {
    "at_least_one": "Send at least one member that can be set.",
    "not_settable": "Remove {field} from the {place}.",
    "null_not_allowed": "Leave {field} out of the {place}, or send a value.",
    "repeated_parameter": "Send {field} once.",
    "required": "Add {field} to the {place}.",
    "unknown_field": "Remove {field} from the {place}.",
    "unknown_parameter": "Remove {field} from the {place}.",
}


def failed(place: str, root: str, problems: Iterable[Problem]) -> ValidationFailed:
    """The 400 for a `body`, `query` or `path`; `root` is what every field starts with."""
    found = [problem._replace(path=join(root, problem.path)) for problem in problems]
    issues = [Issue(problem.path, problem.code, problem.message) for problem in found]
    message = f"The request {place} is not valid."
    return ValidationFailed(message, _details(place, found), issues=issues)


def _details(place: str, found: list[Problem]) -> str | None:
    """What to do: where one member belongs elsewhere that comes first, else the only problem."""
    for problem in found:
        if problem.code == "not_settable" and problem.advice:
            return f"Remove {problem.path} from the {place} and {problem.advice}."
    if len(found) > 1:
        return None
    problem = found[0]
    if problem.advice:
        return problem.advice
    advice = _ADVICE.get(problem.code, "Correct {field} and send the request again.")
    return advice.format(field=problem.path or f"the {place}", place=place)
