"""Refusals as a model can act on them: what went wrong, and the next right call."""

from __future__ import annotations

from typing import Any

from longlist_client import (
    AnswerLost,
    ApiError,
    AudienceNameTaken,
    AudienceNotReady,
    Forbidden,
    IdempotencyConflict,
    LonglistError,
    NotFound,
    PreconditionFailed,
    RateLimited,
    TransportError,
    Unauthorized,
)

from longlist.agents.arguments import LONGEST_WAIT_S

_NOT_FOUND = {
    "audience": "Find the right one with list_audiences; it may have been deleted.",
    "prospect": "Find the person with find_prospects; they may have been erased.",
    "job": "The jobId comes from start_import, or from an error AUDIENCE_NOT_READY.",
}


class Refused(Exception):
    """A tool does not do what was asked. `tool` and `arguments` are the next call to make."""

    def __init__(
        self,
        code: str,
        message: str,
        advice: str,
        tool: str | None = None,
        arguments: dict[str, Any] | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.advice = advice
        self.next_call = None if tool is None else {"tool": tool, "arguments": arguments or {}}
        self.facts = facts

    def answer(self) -> dict[str, Any]:
        """What the tool answers."""
        error = {"code": self.code, "message": self.message, "whatToDo": self.advice, **self.facts}
        if self.next_call is not None:
            error["nextCall"] = self.next_call
        return {"error": error}


def refused(error: LonglistError, repeatable: bool) -> Refused:
    """What an error of the client means to the caller of a tool.

    `repeatable`: the tool takes a requestId, so that a call can be repeated whatever became of it.
    """
    match error:
        case AudienceNotReady():
            return _not_ready(error)
        case AudienceNameTaken():
            return Refused(
                error.code, error.message,
                "Choose another name, or use the audience that has it.",
                existingAudienceId=error.existing_id,
            )  # fmt: skip
        case Forbidden():
            return _forbidden(error)
        case Unauthorized():
            return Refused(
                error.code, error.message,
                "Stop, and tell the person you work for that the API key is not valid any more.",
            )  # fmt: skip
        case RateLimited():
            seconds = round(error.retry_after or 1)
            return Refused(
                error.code, error.message, f"Make the same call again after {seconds} s.",
                retryAfterSeconds=seconds,
            )  # fmt: skip
        case IdempotencyConflict():
            return Refused(
                error.code, "This requestId was used before, with other arguments.",
                "Make up another requestId for another request.",
            )  # fmt: skip
        case PreconditionFailed():
            return Refused(
                error.code, "It was changed after the plan was made; nothing was deleted.",
                "Look at what it is now and make another plan.", "plan_deletion",
            )  # fmt: skip
        case NotFound():
            kind = str(error.context.get("resource", ""))
            return Refused(error.code, error.message, _NOT_FOUND.get(kind, error.details))
        case ApiError():
            return _other(error)
        case TransportError():
            return _no_answer(error, repeatable)
    return Refused("FAILED", str(error), "Tell the person you work for.")


def _not_ready(error: AudienceNotReady) -> Refused:
    return Refused(
        error.code,
        f"A job is filling this audience: {error.context.get('jobStatus')},"
        f" {error.progress or 0:.0%} done. Until it ends the audience can be neither read nor"
        " changed.",
        "Wait for the job with get_job, again and again until its status is completed, failed or"
        " cancelled. Then repeat this call.",
        "get_job",
        {"jobId": error.job_id, "waitSeconds": LONGEST_WAIT_S},
    )


def _forbidden(error: Forbidden) -> Refused:
    if error.required_permission is None:
        return Refused(
            error.code, error.message, "Use an account group that this key reaches.",
            "find_account",
        )  # fmt: skip
    return Refused(
        error.code,
        f"This key lacks the permission {error.required_permission}.",
        "Do not try again. Tell the person you work for which permission is missing.",
        missingPermission=error.required_permission,
    )


def _other(error: ApiError) -> Refused:
    facts: dict[str, Any] = {"traceId": error.trace_id}
    if error.issues:
        facts["issues"] = [f"{issue.field or 'request'}: {issue.message}" for issue in error.issues]
    return Refused(error.code, error.message, error.details, **facts)


def _no_answer(error: TransportError, repeatable: bool) -> Refused:
    if isinstance(error, AnswerLost) and not repeatable:
        advice = "It may have been done. Look at the present state before you repeat the call."
    elif isinstance(error, AnswerLost):
        advice = "Make the same call again with the same requestId: nothing is done twice."
    else:
        advice = "Nothing was changed. Try again later, and then tell the person you work for."
    return Refused("NO_ANSWER", "Longlist gave no answer.", advice)
