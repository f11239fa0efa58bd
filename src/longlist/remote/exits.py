"""How commands end: exit codes for scripts, and refusals as sentences that say what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

from longlist.console import Trouble, program
from longlist.text import printable

if TYPE_CHECKING:
    from longlist_client import ApiError, AudienceNotReady, Forbidden, TransportError


class Exit(IntEnum):
    """The exit codes of the commands that talk to a server; part of what scripts rely on."""

    DONE = 0
    FAILED = 1
    """Anything without a code of its own; also a job that failed or was cancelled."""
    USAGE = 2
    """The command line is wrong, or does not say which of several things it means."""
    NOT_FOUND = 3
    REFUSED = 4
    """The key is not valid, lacks a permission, reaches another group, or credits are short."""
    LOCKED = 5
    """A job fills the audience."""
    RATE_LIMITED = 6
    UNREACHABLE = 7
    """No answer, half an answer, or a server that is overloaded."""
    CONFLICT = 8
    """The present state does not allow it: a name in use, a change in between, a job at its end."""


_BY_STATUS = {
    401: Exit.REFUSED,
    402: Exit.REFUSED,
    403: Exit.REFUSED,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    412: Exit.CONFLICT,
    422: Exit.CONFLICT,
    429: Exit.RATE_LIMITED,
    503: Exit.UNREACHABLE,
}


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Raise Trouble with the right exit code for what the client raises inside."""
    from longlist_client import ApiError, LonglistError, TransportError

    try:
        yield
    except ApiError as error:
        raise Trouble(_refusal(error), exit_of(error)) from error
    except TransportError as error:
        raise Trouble(_no_answer(error, url), Exit.UNREACHABLE) from error
    except LonglistError as error:
        raise Trouble(str(error), Exit.FAILED) from error


def exit_of(error: ApiError) -> Exit:
    """The exit code for a refusal of the server's."""
    from longlist_client import AudienceNotReady

    if isinstance(error, AudienceNotReady):
        return Exit.LOCKED
    return _BY_STATUS.get(error.status, Exit.FAILED)


def _refusal(error: ApiError) -> str:
    from longlist_client import AudienceNotReady, Forbidden, RateLimited, Unauthorized

    match error:
        case AudienceNotReady():
            return _locked(error)
        case Unauthorized():
            text = (
                "The server does not take this key: it is mistyped, revoked or expired. Make one"
                f" on the server with `{program()} keys create`."
            )
        case Forbidden():
            text = _forbidden(error)
        case RateLimited():
            wait = "" if error.retry_after is None else f" in {error.retry_after:.0f} s"
            text = f"Too many requests with this key. Try again{wait}."
        case _:
            text = f"{error.message} {error.details}"
    parts = [text]
    # The sentences above name the member already where there is only one that is wrong.
    parts += [
        f"{issue.field or 'The request'}: {issue.message}"
        for issue in error.issues
        if issue.message not in text
    ]
    if error.after_lost_answer:
        parts.append(
            "An earlier attempt got no answer and may have been carried out: look before you"
            " repeat the command."
        )
    parts.append(f"(trace {error.trace_id})")
    return clean(" ".join(parts))


def _locked(error: AudienceNotReady) -> str:
    done = "" if error.progress is None else f", {error.progress:.0%} done"
    status = error.context.get("jobStatus", "at work")
    since = error.context.get("since")
    began = f" since {since}" if since else ""
    return clean(
        f"The audience is locked: job {error.job_id} fills it ({status}{done}{began})."
        f" Wait with `{program()} jobs watch {error.job_id}`, or end the job with"
        f" `{program()} jobs cancel {error.job_id}`."
    )


def _forbidden(error: Forbidden) -> str:
    missing = error.required_permission
    if missing is None:
        return (
            "This key does not reach that account group. See which it reaches with"
            f" `{program()} whoami`."
        )
    return (
        f"This key lacks the permission {missing}. Ask the operator for a key that has it:"
        f" `{program()} keys create --permission {missing}`."
    )


def _no_answer(error: TransportError, url: str) -> str:
    from longlist_client import AnswerLost, NotSent

    if isinstance(error, NotSent):
        return (
            f"Nothing answers at {url}. Is the server running, and is that its address? Give"
            " another with --url, LONGLIST_URL or a profile."
        )
    if isinstance(error, AnswerLost):
        return (
            f"The connection to {url} broke before the answer was whole. What was asked for may"
            " have been done: look before you repeat the command."
        )
    return f"What answers at {url} is not Longlist ({clean(str(error))})."


def clean(text: str, max_chars: int = 2_000) -> str:
    """A text from elsewhere, without what could steer a terminal."""
    return printable(text, max_chars)
