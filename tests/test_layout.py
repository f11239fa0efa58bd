"""The rules that keep the layout of ARCHITECTURE.md so: who may call whom, who may touch SQL."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "longlist"
FILES = sorted(path for path in SOURCE.rglob("*.py"))
NAMES = [path.relative_to(SOURCE).as_posix() for path in FILES]
TREES = {name: ast.parse(path.read_text()) for name, path in zip(NAMES, FILES, strict=True)}
STORES = [name for name in NAMES if name.endswith("store.py")]
ROUTES = [name for name in NAMES if name.endswith("routes.py")]

MAX_LINES, MAX_FUNCTION_LINES = 500, 60
FORBIDDEN_NAMES = re.compile(
    r"(^|_)(utils?|helpers?|common|misc|services?|repositor(y|ies)|managers?)(_|$)"
)

OWNS_A_TABLE = {
    "idempotency.py": "idempotency_keys",
    "limits.py": "rate_buckets",
    "prospecting/links.py": "tables of its own on a nameless file, to sort a source by its keys",
    "maintenance.py": "installation: the mark that an erasure waits to be scrubbed",
    "schema_version.py": "alembic_version",
    "startup.py": "installation: the check of the secret; alembic_version at the start",
    "workers.py": "workers",
}
"""Machine modules that may hold SQL beside stores, db/ and migrations/, and the table of each."""

DRIVERS = {
    "asyncpg": {"db/postgres.py", "db/postgres_batches.py", "db/replicas.py", "db/outside.py"},
    "psycopg": set[str](),
    "sqlite3": {
        "db/sqlite.py",
        "db/sqlite_file.py",
        "db/outside.py",
        "prospecting/links.py",  # sorts on disk
        "jobs_database.py",  # hands the job engine its own file, in the mode that it needs
    },
    "cryptography": {"prospecting/source_tokens.py"},
    "dbos": {"jobs.py"},
    "starlette": {"server/exchange.py", "server/protocol.py", "server/__init__.py"},
    "uvicorn": {"server/protocol.py", "server/__init__.py"},
}
"""The modules that may import a library."""

COMMITS = {
    "accounts/move.py": "a group is copied in many short transactions, between two databases",
    "accounts/move_target.py": "the check of the secret that both databases share",
    "admin/visit.py": "requests for the admin pages, once their session is known",
    "console.py": "the command line",
    "context.py": "Context.write, for the worker and the command line",
    "dispatch.py": "requests, once the gate has admitted them",
    "front/directory.py": "the directory of a front, which is no installation",
    "gate.py": "when keys were last used",
    "jobs.py": "the worker",
    "limits.py": "leases of tokens",
    "maintenance.py": "what is past its time",
    "prospecting/file_store.py": "files are deleted after the commit that forgets them",
    "prospecting/sources/directory/load.py": "a directory is loaded in many short transactions",
    "serving.py": "the first account group",
    "startup.py": "the check of the secret",
    "workers.py": "the supervisor declares its worker dead",
}
"""The modules that may open a write transaction, and what for."""

_SQL = re.compile(
    r"\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s)"
)


def _text(node: ast.AST) -> str | None:
    """The text of a string expression; what is put in or added stands as `{}`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        return None if left is None and right is None else (left or "{}") + (right or "{}")
    return None


def statements(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of every SQL statement."""
    for child in ast.iter_child_nodes(node):
        text = _text(child)
        if text is None:
            yield from statements(child)
        elif _SQL.match(text):
            yield child.lineno, text  # type: ignore[attr-defined]


def imported(tree: ast.AST) -> set[str]:
    """Every module that is imported, also inside functions; names of longlist's in full."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_there_is_something_to_look_at() -> None:
    assert len(NAMES) > 40
    assert {"audiences/store.py", "prospects/store.py"} <= set(STORES)
    assert list(statements(TREES["audiences/store.py"]))


@pytest.mark.parametrize("name", NAMES)
def test_files_and_functions_are_short(name: str) -> None:
    lines = (SOURCE / name).read_text().count("\n")
    assert lines < MAX_LINES, f"{name} has {lines} lines"
    if name.startswith("migrations/versions/"):
        return  # a migration is one list of steps
    for function in functions(TREES[name]):
        assert function.end_lineno is not None
        length = function.end_lineno - function.lineno + 1
        assert length < MAX_FUNCTION_LINES, f"{name}: {function.name} has {length} lines"


@pytest.mark.parametrize("name", NAMES)
def test_no_catch_all_names(name: str) -> None:
    for part in name.removesuffix(".py").split("/"):
        assert not FORBIDDEN_NAMES.search(part), name


ASSEMBLERS = {"app.py"}
"""The one module that lists the features."""


@pytest.mark.parametrize("name", NAMES)
def test_nothing_calls_routes(name: str) -> None:
    """Answer types that several features share, or that the OpenAPI document shows, are no call."""
    if name in ASSEMBLERS:
        return
    for node in ast.walk(TREES[name]):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        if node.module.endswith("routes"):
            taken = [alias.name for alias in node.names if not alias.name[0].isupper()]
            assert not taken, f"{name} takes {taken} from {node.module}"
        else:
            modules = [alias.name for alias in node.names if alias.name.endswith("routes")]
            assert not modules, f"{name} imports {modules}"


@pytest.mark.parametrize("name", STORES)
def test_stores_know_nothing_of_http(name: str) -> None:
    above = ("app", "dispatch", "gate", "operations", "request", "server", "serving", "decoding")
    for module in imported(TREES[name]):
        assert module not in {f"longlist.{one}" for one in above}, f"{name} imports {module}"
        assert not module.endswith("routes"), f"{name} imports {module}"


@pytest.mark.parametrize("name", NAMES)
def test_only_stores_and_owners_of_a_table_hold_sql(name: str) -> None:
    if name in STORES or name in OWNS_A_TABLE or name.startswith(("db/", "migrations/")):
        return
    assert [f"{name}:{line}" for line, _ in statements(TREES[name])] == []


@pytest.mark.parametrize("name", ROUTES)
def test_routes_reach_the_database_through_stores_alone(name: str) -> None:
    for node in ast.walk(TREES[name]):
        assert not (isinstance(node, ast.Attribute) and node.attr in ("tx", "db")), (
            f"{name}:{node.lineno}"
        )


@pytest.mark.parametrize("name", STORES)
def test_a_store_function_takes_the_context_first_or_says_that_it_crosses_groups(name: str) -> None:
    for node in TREES[name].body:
        if not isinstance(node, ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        first = node.args.args[0].arg if node.args.args else ""
        crosses = node.name.endswith("_everywhere")
        assert first == "ctx" or crosses, f"{name}: {node.name} takes {first or 'nothing'} first"


GROUPED = re.compile(
    r"(?:FROM|INTO|UPDATE|JOIN)\s+(folders|audiences|prospects|prospect_keys|memberships|suppressions"
    r"|files|prospecting_jobs|prospecting_quotas|job_rows|idempotency_keys|events|directory_people|directory_words"
    r"|directory_generations|sources|monitors|account_group_moves)\b"
)


@pytest.mark.parametrize("name", [*STORES, *OWNS_A_TABLE])
def test_a_statement_filters_by_account_group_or_its_function_says_so(name: str) -> None:
    if name not in TREES:
        return
    inside: dict[int, str] = {}
    for function in functions(TREES[name]):
        assert function.end_lineno is not None
        for line in range(function.lineno, function.end_lineno + 1):
            inside[line] = function.name
    for line, text in statements(TREES[name]):
        if not GROUPED.search(text) or "account_group_id" in text or "{}" in text:
            continue
        function_name = inside.get(line, "")
        assert "_everywhere" in function_name, f"{name}:{line}: {text[:80]}"


@pytest.mark.parametrize("name", NAMES)
def test_a_library_is_imported_where_it_belongs(name: str) -> None:
    for module in imported(TREES[name]):
        library = module.partition(".")[0]
        if library in DRIVERS:
            assert name in DRIVERS[library], f"{name} imports {module}"


@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith("db/")])
def test_only_few_open_a_write_transaction(name: str) -> None:
    names = {"write_long", "write_single"}
    for node in ast.walk(TREES[name]):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = ast.unparse(node.func.value)
        writes = node.func.attr in names or (
            node.func.attr == "write"
            and owner.endswith(("db", "ctx", "Context(installation, b'')"))
        )
        assert not writes or name in COMMITS, f"{name}:{node.lineno} {ast.unparse(node.func)}"


@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith("db/")])
def test_nobody_outside_db_asks_which_database_it_is(name: str) -> None:
    allowed = {
        "settings.py",  # defines the setting
        "serving.py",  # gives the job engine a place of its own
        "jobs.py",
    }
    if name in allowed:
        return
    text = ast.unparse(TREES[name])
    questions = ("uses_postgres", "PostgresDatabase", "SqliteDatabase", "dialect.name")
    asked = [question for question in questions if question in text]
    assert asked == [] or name.startswith("migrations/")


@pytest.mark.parametrize("exceptions", [OWNS_A_TABLE, COMMITS], ids=["sql", "commits"])
def test_exceptions_are_still_there(exceptions: dict[str, str]) -> None:
    assert set(exceptions) <= set(NAMES)
    assert all(exceptions.values())
