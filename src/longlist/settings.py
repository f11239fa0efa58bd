"""Every setting, read once from the environment at start.

A setting `data` is read from `LONGLIST_DATA`; a secret also from `LONGLIST_SECRET_FILE`, a path
whose content is the value. A value that does not fit its type stops the start with a sentence
that names the variable.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_type_hints

import msgspec

PREFIX: Final = "LONGLIST_"
SECRETS: Final = frozenset(
    {"database_url", "database_read_url", "front_directory", "rate_limit_url", "secret"}
)


class SettingError(ValueError):
    """A setting has a value that cannot be used; the text names the variable."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of one process. Durations carry their unit in the name."""

    data: str = "./longlist-data"
    """Folder of the embedded database, uploaded files and the installation's secret."""
    database_url: str = ""
    """`postgresql://...`; empty for the embedded SQLite in the data folder."""
    database_read_url: str = ""
    """`postgresql://...` of streaming replicas of `database_url`, several hosts with commas between
    them: GET requests are read there whenever a replica has all that was acknowledged."""
    secret: str = ""
    """Signs cursors and keys the hashes of suppressed people: at least 32 characters, the same in
    every process of an installation. Empty: made at the first start and kept in the data folder.
    Losing or changing it makes suppressions and cursors void, so start refuses a changed one."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8080
    """Port to listen on."""
    rate_limit_per_minute: int = 600
    """Requests a minute for keys without a limit of their own."""
    rate_limit_burst: int = 100
    """Requests at once for keys without a limit of their own."""
    rate_limit_store: Literal["auto", "memory", "database", "valkey"] = "auto"
    """Where the buckets are. `auto`: in memory for `serve`, in the database for `--api-only`.
    `valkey` needs the extra `longlist[valkey]`."""
    rate_limit_url: str = ""
    """`valkey://...` or `redis://...`: the server for `LONGLIST_RATE_LIMIT_STORE=valkey`."""
    bad_key_limit_per_minute: int = 60
    """Failed authentications a minute for one client address."""
    trusted_proxies: str = ""
    """Comma-separated addresses or networks whose `X-Forwarded-For` is believed."""
    cors_origins: str = ""
    """Comma-separated origins that may call from a browser; empty: no CORS headers."""
    mcp: Literal["0", "1"] = "0"
    """`1`: tools for AI agents at `/mcp`, for every key; needs the extra `longlist[mcp]`."""
    max_upload_bytes: int = 1 << 30
    """The largest file that is taken; above it the answer is 413."""
    request_timeout_s: float = 30.0
    """A request has to be complete within this time; an upload has to send a byte within it."""
    keep_alive_s: float = 30.0
    """Time that an idle connection stays open."""
    drain_s: float = 20.0
    """Time that requests under way have to end in when the server stops."""
    max_connections: int = 10_000
    """Open connections; beyond them the answer is 503."""
    max_waiting_requests: int = 2_000
    """Requests handled at once; beyond them the answer is 503 at once."""
    max_results_cap: int = 2_000
    """Default of an account group's `maxResultsCap` (contract 1.11)."""
    file_rows_cap: int = 5_000_000
    """Default of an account group's `fileRowsCap` (contract 1.11)."""
    file_keep_hours: int = 24
    """Time to keep an uploaded file after its upload or its last job's end."""
    idempotency_keep_hours: int = 24
    """Time to remember an `Idempotency-Key`."""
    event_keep_days: int = 30
    """Time to keep the record of changes."""
    worker_jobs: int = 2
    """Jobs that one worker process runs side by side, and one more for an account group that has
    none running."""
    database_pool: int = 20
    """PostgreSQL connections of one process, three at least. Two of them are for batches of
    changes."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are logged."""
    log_format: Literal["auto", "json", "text"] = "auto"
    """`auto`: text on a terminal, JSON lines otherwise."""
    metrics_port: int = 0
    """Port of the Prometheus metrics, at `/metrics`; 0: none. The worker that `serve` starts takes
    the next port."""
    metrics_host: str = "127.0.0.1"
    """Address that the metrics are served on. They need no key: let nobody but Prometheus in."""
    front_directory: str = ""
    """The directory of `longlist front`: a path, or `postgresql://...`; empty: `front.sqlite3` in
    the data folder."""

    @property
    def data_path(self) -> Path:
        return Path(self.data).expanduser().resolve()

    @property
    def sqlite_path(self) -> Path:
        return self.data_path / "longlist.sqlite3"

    @property
    def jobs_sqlite_path(self) -> Path:
        """The file of the job engine's own checkpoints, beside the data and never in it."""
        return self.data_path / "jobs.sqlite3"

    @property
    def files_path(self) -> Path:
        return self.data_path / "files"

    @property
    def uses_postgres(self) -> bool:
        return bool(self.database_url)


_HINTS: Final = get_type_hints(Settings)


def _check(settings: Settings) -> Settings:
    url = settings.database_url
    if url and not url.startswith(("postgresql://", "postgres://")):
        raise SettingError(
            "LONGLIST_DATABASE_URL must start with postgresql://; leave it empty for SQLite."
        )
    read_url = settings.database_read_url
    if read_url and not (url and read_url.startswith(("postgresql://", "postgres://"))):
        raise SettingError(
            "LONGLIST_DATABASE_READ_URL must start with postgresql://, and LONGLIST_DATABASE_URL"
            " must name its primary."
        )
    stores = ("valkey://", "valkeys://", "redis://", "rediss://", "unix://")
    if settings.rate_limit_store == "valkey" and not settings.rate_limit_url.startswith(stores):
        raise SettingError(
            "LONGLIST_RATE_LIMIT_URL must start with valkey:// or redis:// where"
            " LONGLIST_RATE_LIMIT_STORE is valkey."
        )
    if settings.secret and len(settings.secret) < 32:
        raise SettingError("LONGLIST_SECRET must have at least 32 characters.")
    for name in Settings.__struct_fields__:
        value = getattr(settings, name)
        if isinstance(value, int | float) and not name.endswith("port") and value <= 0:
            raise SettingError(f"{PREFIX}{name.upper()} must be greater than zero.")
    return settings


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Settings from `environ` (default: the process's), with `overrides` from the command line.

    Unknown `LONGLIST_*` variables are left alone: other programs may own them. Raises SettingError
    with the variable's name for a value of
    the wrong type, or a secret file that cannot be read.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or text == "":
            continue
        name, value = variable.removeprefix(PREFIX).lower(), text
        if name.endswith("_file") and name.removesuffix("_file") in SECRETS:
            name = name.removesuffix("_file")
            try:
                value = Path(text).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SettingError(f"{variable} names a file that cannot be read.") from error
        if name not in _HINTS:
            continue
        try:
            values[name] = msgspec.convert(value, _HINTS[name], strict=False)
        except msgspec.ValidationError as error:
            raise SettingError(f"{variable} cannot be used: {error}.") from error
    values.update({name: value for name, value in overrides.items() if value is not None})
    return _check(Settings(**values))


def effective(settings: Settings) -> dict[str, Any]:
    """The settings for `longlist doctor`, with secrets replaced by whether they are set."""
    shown = msgspec.structs.asdict(settings)
    for name in SECRETS:
        shown[name] = "(set)" if shown[name] else "(not set)"
    return shown
