"""What can go wrong with Unipile, and what each fault means for a job.

From the documentation: errors are JSON with `status` and `type` (`errors/...`), and the types named
below. Assumed: that `Retry-After` may come in either of its two forms, since the documentation
names neither, and that gateways in front of the service may answer with HTML at any status.
"""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Final

import msgspec

MAX_WAIT_S: Final = 86_400.0
"""No wait is told that is longer than a day."""


class Kind(Enum):
    """What a fault concerns.

    ACCOUNT and RATE_LIMITED speak for everything that is asked with the account; REFUSED and
    MISSING for what was asked alone; UNAVAILABLE and UNREADABLE for this one answer.
    """

    ACCOUNT = "account"
    RATE_LIMITED = "rate_limited"
    REFUSED = "refused"
    MISSING = "missing"
    UNAVAILABLE = "unavailable"
    UNREADABLE = "unreadable"


class UnipileFailed(Exception):
    """A call that gave no answer to use. `message` may be shown: it quotes nothing of Unipile's.

    `passes` says that the same call may well succeed a little later.
    """

    def __init__(
        self, kind: Kind, message: str, *, passes: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(kind.value)
        self.kind = kind
        self.message = message
        self.passes = passes
        self.retry_after_s = retry_after_s


REDIRECTED: Final = "Unipile's address answers with a redirect; check base_url."
NOT_UNIPILE: Final = "What answers at base_url does not answer like Unipile."
NO_ANSWER: Final = "Unipile could not be reached or did not answer in time."
NOT_JSON: Final = "Unipile answered with something that is not JSON."
TOO_LARGE: Final = "Unipile's answer is larger than this server takes."
UNKNOWN_ACCOUNT: Final = "Unipile does not know the account; check account_id."
WRONG_SHAPE: Final = "Unipile answered with JSON of another shape than its documentation says."

_BUSY: Final = "Unipile has an error of its own; it was asked again without success."
_LIMITED: Final = "Unipile or LinkedIn limits the calls of this account for now."
_REFUSED: Final = "Unipile refuses what was asked; check the search, list or post."
_MISSING: Final = "Unipile does not know what was asked for."
_TOKEN: Final = "Unipile does not accept the token."  # noqa: S105
_DISCONNECTED: Final = "The LinkedIn account is no longer connected to Unipile; connect it again."
_CHECKPOINT: Final = "LinkedIn asks the account for a check; complete it in Unipile."
_NOT_ALLOWED: Final = "LinkedIn or Unipile does not allow the account to do this."
_NO_FEATURE: Final = "The account lacks the LinkedIn subscription that this needs."
_WRONG_ACCOUNT: Final = "The account is not a LinkedIn account that can do this."
_SPENT: Final = "LinkedIn's limit for this account is reached."
_UNPAID: Final = "Unipile asks for payment before it answers."

_OF_THE_ACCOUNT: Final = {
    "missing_credentials": _TOKEN,
    "invalid_credentials": _TOKEN,
    "unauthorized": _TOKEN,
    "expired_credentials": _DISCONNECTED,
    "disconnected_account": _DISCONNECTED,
    "disconnected_feature": _DISCONNECTED,
    "multiple_sessions": _DISCONNECTED,
    "session_mismatch": _DISCONNECTED,
    "checkpoint_error": _CHECKPOINT,
    "invalid_checkpoint_solution": _CHECKPOINT,
    "captcha_not_supported": _CHECKPOINT,
    "unknown_authentication_context": _CHECKPOINT,
    "action_required": _CHECKPOINT,
    "feature_not_subscribed": _NO_FEATURE,
    "subscription_required": _NO_FEATURE,
    "wrong_account": _WRONG_ACCOUNT,
    "invalid_account": _WRONG_ACCOUNT,
    "account_mismatch": _WRONG_ACCOUNT,
    "limit_exceeded": _SPENT,
    "insufficient_credits": _SPENT,
}
"""Types that stop everything, whatever their status."""

_OF_ONE_RESOURCE: Final = frozenset({"resource_access_restricted"})
"""Types of a 403 that says nothing of the account."""


def failure_of(status: int, body: bytes, retry_after: str | None, now_s: float) -> UnipileFailed:
    """The fault that an answer other than 2xx is. `now_s` is the time of day, for Retry-After."""
    problem = _problem(body)
    type_ = _type_of(problem)
    if status == 429:
        wait = seconds_of(retry_after, now_s)
        return UnipileFailed(Kind.RATE_LIMITED, _LIMITED, passes=True, retry_after_s=wait)
    if status >= 500 or status in {408, 425}:
        wait = seconds_of(retry_after, now_s)
        return UnipileFailed(Kind.UNAVAILABLE, _BUSY, passes=True, retry_after_s=wait)
    if status in range(300, 400):
        return UnipileFailed(Kind.ACCOUNT, REDIRECTED)
    if type_ in _OF_THE_ACCOUNT:
        return UnipileFailed(Kind.ACCOUNT, _OF_THE_ACCOUNT[type_])
    if status == 401:
        return UnipileFailed(Kind.ACCOUNT, _TOKEN)
    if status == 402:
        return UnipileFailed(Kind.ACCOUNT, _UNPAID)
    if status == 403 and type_ not in _OF_ONE_RESOURCE:
        return UnipileFailed(Kind.ACCOUNT, _NOT_ALLOWED)
    if problem is None:
        # A 404 of a web server that is not Unipile must not pass for a person who is not there.
        return UnipileFailed(Kind.ACCOUNT, NOT_UNIPILE)
    if status == 404:
        return UnipileFailed(Kind.MISSING, _MISSING)
    if status in range(400, 500):
        return UnipileFailed(Kind.REFUSED, _REFUSED)
    return UnipileFailed(Kind.UNREADABLE, NOT_UNIPILE)


def seconds_of(retry_after: str | None, now_s: float) -> float | None:
    """A Retry-After in seconds from now, from seconds or an HTTP date; None where it is neither."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:12]), MAX_WAIT_S)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(math.ceil(max(0.0, at.timestamp() - now_s)), MAX_WAIT_S)


def decoded(body: bytes) -> Any:
    """The JSON of a body. Raises ValueError for anything else."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError("not JSON") from error


def _problem(body: bytes) -> dict[str, Any] | None:
    try:
        problem = decoded(body)
    except ValueError:
        return None
    return problem if isinstance(problem, dict) else None


def _type_of(problem: dict[str, Any] | None) -> str:
    type_ = None if problem is None else problem.get("type")
    return type_.removeprefix("errors/") if isinstance(type_, str) else ""
