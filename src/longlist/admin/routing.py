"""Which function makes which page. Paths are below `/admin`."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import Any, Final

from longlist.admin import (
    activity_pages,
    audience_pages,
    folder_pages,
    group_pages,
    import_pages,
    job_pages,
    key_pages,
    monitor_pages,
    people_pages,
    prospect_pages,
    settings_pages,
    sign_in_pages,
    source_pages,
    suppression_pages,
)
from longlist.admin.visit import Reply

Function = Callable[..., Awaitable[Reply]]


class Page:
    """A page. `public`: also for who has not signed in; `uploads`: it reads its body itself."""

    def __init__(
        self,
        method: str,
        path: str,
        function: Function,
        *,
        public: bool = False,
        uploads: bool = False,
    ) -> None:
        self.method, self.path, self.function = method, path, function
        self.public, self.uploads = public, uploads

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The path with a named group for each part in braces."""
        parts = re.split(r"\{(\w+)\}", self.path)
        for at, part in enumerate(parts):
            parts[at] = f"(?P<{part}>[^/]+)" if at % 2 else re.escape(part)
        return re.compile("".join(parts) + r"\Z")


_GROUP: Final = "/g/{group}"
_AUDIENCE: Final = f"{_GROUP}/audiences/{{audience}}"
_FOLDER: Final = f"{_GROUP}/folders/{{folder}}"
_FILE: Final = f"{_GROUP}/import/{{file}}"
_JOB: Final = f"{_GROUP}/jobs/{{job}}"
_PROSPECT: Final = f"{_GROUP}/prospects/{{prospect}}"
_SUPPRESSION: Final = f"{_GROUP}/suppressions/{{suppression}}"
_MONITOR: Final = f"{_GROUP}/monitors/{{audience}}"
_SOURCE: Final = f"{_GROUP}/sources/{{source}}"
_KEY: Final = "/keys/{key}"
_USER: Final = "/settings/users/{user}"

PAGES: Final = (
    Page("GET", "", group_pages.first_page),
    Page("GET", "/sign-in", sign_in_pages.show, public=True),
    Page("POST", "/sign-in", sign_in_pages.sign_in, public=True),
    Page("POST", "/sign-out", sign_in_pages.sign_out),
    Page("GET", "/setup/{token}", sign_in_pages.show_setup, public=True),
    Page("POST", "/setup/{token}", sign_in_pages.set_up, public=True),
    Page("GET", "/groups", group_pages.list_groups),
    Page("GET", "/groups/new", group_pages.show_new),
    Page("POST", "/groups/new", group_pages.create),
    Page("GET", f"{_GROUP}/settings", group_pages.show_settings),
    Page("POST", f"{_GROUP}/settings", group_pages.change_settings),
    Page("GET", f"{_GROUP}/audiences", audience_pages.list_audiences),
    Page("GET", f"{_GROUP}/audiences/new", audience_pages.show_new),
    Page("POST", f"{_GROUP}/audiences/new", audience_pages.create),
    Page("GET", _AUDIENCE, prospect_pages.list_prospects),
    Page("GET", f"{_AUDIENCE}/filling", audience_pages.show_filling),
    Page("GET", f"{_AUDIENCE}/name", audience_pages.show_name),
    Page("GET", f"{_AUDIENCE}/rename", audience_pages.show_rename),
    Page("POST", f"{_AUDIENCE}/rename", audience_pages.rename),
    Page("GET", f"{_AUDIENCE}/describe", audience_pages.show_describe),
    Page("POST", f"{_AUDIENCE}/describe", audience_pages.describe),
    Page("GET", f"{_AUDIENCE}/move", audience_pages.show_move),
    Page("POST", f"{_AUDIENCE}/move", audience_pages.move),
    Page("GET", f"{_AUDIENCE}/delete", audience_pages.show_delete),
    Page("POST", f"{_AUDIENCE}/delete", audience_pages.delete),
    Page("GET", f"{_AUDIENCE}/export.csv", prospect_pages.export),
    Page("GET", f"{_GROUP}/people", people_pages.list_people),
    Page("GET", _PROSPECT, people_pages.show),
    Page("GET", f"{_PROSPECT}/erase", people_pages.show_erase),
    Page("POST", f"{_PROSPECT}/erase", people_pages.erase),
    Page("GET", f"{_GROUP}/suppressions", suppression_pages.list_suppressions),
    Page("GET", f"{_GROUP}/suppressions/new", suppression_pages.show_new),
    Page("POST", f"{_GROUP}/suppressions/new", suppression_pages.create),
    Page("GET", f"{_SUPPRESSION}/remove", suppression_pages.show_remove),
    Page("POST", f"{_SUPPRESSION}/remove", suppression_pages.remove),
    Page("GET", f"{_GROUP}/folders/new", folder_pages.show_new),
    Page("POST", f"{_GROUP}/folders/new", folder_pages.create),
    Page("GET", f"{_FOLDER}/rename", folder_pages.show_rename),
    Page("POST", f"{_FOLDER}/rename", folder_pages.rename),
    Page("GET", f"{_FOLDER}/delete", folder_pages.show_delete),
    Page("POST", f"{_FOLDER}/delete", folder_pages.delete),
    Page("GET", f"{_GROUP}/import", import_pages.show),
    Page("POST", f"{_GROUP}/import", import_pages.upload, uploads=True),
    Page("GET", _FILE, import_pages.show_mapping),
    Page("POST", f"{_FILE}/try", import_pages.rehearse),
    Page("POST", f"{_FILE}/start", import_pages.begin),
    Page("GET", f"{_GROUP}/jobs", job_pages.list_jobs),
    Page("GET", _JOB, job_pages.show),
    Page("GET", f"{_JOB}/progress", job_pages.show_progress),
    Page("POST", f"{_JOB}/cancel", job_pages.cancel),
    Page("GET", f"{_JOB}/failed.csv", job_pages.failed_rows),
    Page("GET", f"{_GROUP}/monitors", monitor_pages.list_monitors),
    Page("POST", f"{_MONITOR}/pause", monitor_pages.pause),
    Page("POST", f"{_MONITOR}/resume", monitor_pages.resume),
    Page("GET", f"{_MONITOR}/remove", monitor_pages.show_remove),
    Page("POST", f"{_MONITOR}/remove", monitor_pages.remove),
    Page("GET", f"{_GROUP}/sources", source_pages.list_sources),
    Page("GET", f"{_GROUP}/sources/new", source_pages.show_new),
    Page("POST", f"{_GROUP}/sources/new", source_pages.add),
    Page("POST", f"{_SOURCE}/test", source_pages.test),
    Page("GET", f"{_SOURCE}/token", source_pages.show_token),
    Page("POST", f"{_SOURCE}/token", source_pages.change_token),
    Page("GET", f"{_SOURCE}/remove", source_pages.show_remove),
    Page("POST", f"{_SOURCE}/remove", source_pages.remove),
    Page("GET", f"{_GROUP}/activity", activity_pages.list_activity),
    Page("GET", "/keys", key_pages.list_keys),
    Page("GET", "/keys/new", key_pages.show_new),
    Page("POST", "/keys/new", key_pages.create),
    Page("GET", f"{_KEY}/rotate", key_pages.show_rotate),
    Page("POST", f"{_KEY}/rotate", key_pages.rotate),
    Page("GET", f"{_KEY}/revoke", key_pages.show_revoke),
    Page("POST", f"{_KEY}/revoke", key_pages.revoke),
    Page("GET", "/audit", activity_pages.list_acts),
    Page("GET", "/settings", settings_pages.show),
    Page("POST", "/settings/password", settings_pages.change_password),
    Page("POST", "/settings/invite", settings_pages.invite),
    Page("GET", f"{_USER}/remove", settings_pages.show_remove),
    Page("POST", f"{_USER}/remove", settings_pages.remove),
)


def find(
    pages: Sequence[Page], path: str, method: str
) -> tuple[Page | None, dict[str, str], list[str]]:
    """The page of a path and method with the values in its path; else the methods that work."""
    wanted = "GET" if method == "HEAD" else method
    allowed: list[str] = []
    for page in pages:
        match = page.pattern.match(path)
        if match is None:
            continue
        if page.method == wanted:
            values: dict[str, Any] = match.groupdict()
            return page, values, []
        allowed.append(page.method)
    return None, {}, allowed
