"""The page of the Python client, made from its signatures and docstrings."""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final

import longlist_client as client
import msgspec
from longlist_client import binding, inputs, models, testing
from longlist_client.testing import fixtures

WIDTH: Final = 88
PAGE_WIDTH: Final = 100
"""The width to which blocks of whole Python are formatted."""
_SOURCES: Final = (
    client.FileImport, client.UrlUpload, client.LinkedinSearch, client.SalesNavigator,
    client.PostCommenters, client.DirectorySearch,
)  # fmt: skip
_INPUTS: Final = (*_SOURCES, client.DirectoryFilters, client.ProspectInput, client.CompanyInput)
_SAMPLE: Final = """\
Every class, method, argument and error of `longlist-client`. The \
[guide](../../client/README.md) shows the client at work. This page uses `GROUP` and `KEY` as the \
[tutorial](../tutorial.md#1-start-the-server) sets them:

```console
$ export LONGLIST_URL=http://127.0.0.1:8080 LONGLIST_API_KEY=$KEY
```

```python
import os

from longlist_client import AudienceNotReady, FileImport, Longlist

with Longlist() as client:
    account = client.account(os.environ["GROUP"])
    file = account.files.upload("examples/legislators.csv")
    started = account.prospecting.start(FileImport(file_id=file.file_id), audience_name="Congress")
    try:
        account.audiences.update(started.audience_id, name="Everyone in Congress")
    except AudienceNotReady as locked:
        account.prospecting.wait(locked.job_id)
        account.audiences.update(started.audience_id, name="Everyone in Congress")
    for audience in account.audiences.list():
        print(audience.name, audience.prospect_count)
```

```text
Everyone in Congress 537
```

`AsyncLonglist` has the same methods with the same arguments: await those that answer a value, use \
`async for` where an iterator is given and `async with` where a download is.

An argument that is left out is not sent. `if_match` takes the `etag` of what was read before, and \
`idempotency_key` a key of yours where the client's own, one for each call, is not enough: see \
[retries](../explain/idempotency.md)."""


def _said(thing: Any) -> list[str]:
    """A docstring as Markdown. Raises ValueError where there is none."""
    text = inspect.getdoc(thing)
    if not text:
        raise ValueError(f"nothing is said of {thing}")
    return ["", text, ""]


def _type(hint: Any) -> str:
    """A type as it is written in code."""
    if isinstance(hint, str):
        return hint
    if hint is None or hint is types.NoneType:
        return "None"
    if hint is ...:
        return "..."
    if isinstance(hint, list):
        return f"[{', '.join(map(_type, hint))}]"
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(_type, parts))
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(json.dumps, parts))}]"
    name: str = getattr(origin or hint, "__name__", str(hint))
    return f"{name}[{', '.join(map(_type, parts))}]" if parts else name


def _parameter(parameter: inspect.Parameter) -> str:
    text = parameter.name
    if parameter.kind is parameter.VAR_POSITIONAL:
        text = f"*{text}"
    elif parameter.kind is parameter.VAR_KEYWORD:
        text = f"**{text}"
    if parameter.annotation is not parameter.empty:
        text += f": {_type(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        default = repr(parameter.default)
        text += f" = {'...' if len(default) > 30 or '<' in default else default}"
    return text


def _definition(name: str, parameters: Sequence[inspect.Parameter], end: str) -> list[str]:
    """A signature in a block; one parameter a line where it is long."""
    shown: list[str] = []
    starred = False
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            starred = True
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            shown.append("*")
            starred = True
        shown.append(_parameter(parameter))
    line = f"{name}({', '.join(shown)}){end}"
    lines = [line]
    if len(line) > WIDTH:
        lines = [f"{name}(", *(f"    {part}," for part in shown), f"){end}"]
    return ["```pyi", *lines, "```"]


def _own(signature: inspect.Signature) -> list[inspect.Parameter]:
    return [found for found in signature.parameters.values() if found.name != "self"]


def _answered(method: binding._Method[Any, Any]) -> str:
    """What a method of a resource gives: without the wrapping of the operation."""
    if method._bind is client.Download:
        return "Download"
    written = str(inspect.signature(method.build).return_annotation)
    inner = re.sub(r"\A(?:Call|Flow)\[(.*)\]\Z", r"\1", written)
    if method._bind is not binding._walk:
        return inner
    item = re.fullmatch(r"Page\[(.*)\]", inner)
    if item is not None:
        return f"Iterator[{item[1]}]"
    [page] = getattr(models, inner).__orig_bases__[:1]
    return f"Iterator[{_type(typing.get_args(page)[0])}]"


def _method(prefix: str, name: str, method: Any) -> Iterator[str]:
    yield from (f"### `{prefix}{name}`", "")
    if isinstance(method, binding._Method):
        end = f" -> {_answered(method)}"
        yield from _definition(f"{prefix}{name}", _own(method.signature), end)
    else:
        signature = inspect.signature(method)
        end = f" -> {_type(signature.return_annotation)}"
        yield from _definition(f"{prefix}{name}", _own(signature), end)
    yield from _said(method)


def _methods(prefix: str, class_: type) -> Iterator[str]:
    """The methods of a class; one that gives a page stands with the one that goes through all."""
    members = {name: member for name, member in vars(class_).items() if not name.startswith("_")}
    bound = {n: m for n, m in members.items() if isinstance(m, binding._Method)}
    pages = {
        n: walk
        for n, m in bound.items()
        for walk, other in bound.items()
        if m is not other and m.build is other.build and other._bind is binding._walk
    }
    for name, member in members.items():
        if name in pages or not (name in bound or inspect.isfunction(member)):
            continue
        yield from _method(prefix, name, member)
        for page in (page for page, walk in pages.items() if walk == name):
            yield f"`{prefix}{page}` takes the same and answers one page: {_link(bound[page])}."
            yield ""


def _link(method: Any) -> str:
    return f"`{_answered(method)}`, with its `next_cursor`"


def _class(name: str, class_: type) -> Iterator[str]:
    """A class that is called, with its own methods."""
    yield from _definition(name, _own(inspect.signature(class_)), "")
    yield from _said(class_)


def _resources(class_: type) -> dict[str, type]:
    """The resources of an account group or of a client, by the attribute they are."""
    found = {}
    for name, member in vars(class_).items():
        if isinstance(member, cached_property):
            found[name] = typing.get_type_hints(member.func)["return"]
    return found


def _fields(struct: type[msgspec.Struct]) -> Iterator[str]:
    hints = typing.get_type_hints(struct)
    for field in msgspec.structs.fields(struct):
        optional = "" if field.required else f" = {field.default!r}"
        yield f"    {field.name}: {_type(hints[field.name])}{optional}"


def _struct(struct: type[msgspec.Struct]) -> Iterator[str]:
    yield from (f"### `{struct.__name__}`", "")
    yield from ("```pyi", f"class {struct.__name__}:", *_fields(struct), "```", *_said(struct))


def _errors(kind: type[client.LonglistError]) -> Iterator[type[client.LonglistError]]:
    """The errors of the package in the order of their tree, without those of its users."""
    if kind.__name__ in client.__all__:
        yield kind
        for below in kind.__subclasses__():
            yield from _errors(below)


def _error_rows() -> Iterator[tuple[str, str, str]]:
    for kind in _errors(client.LonglistError):
        code, status = getattr(kind, "code", ""), getattr(kind, "status", 0)
        known = [
            f"`{name}`: {_lowered(inspect.getdoc(member))}"
            for name, member in vars(kind).items()
            if isinstance(member, property)
        ]
        meaning = re.sub(r"\s+", " ", (inspect.getdoc(kind) or "").partition("\n\n")[0])
        yield (
            f"`{kind.__name__}`",
            " ".join(filter(None, (str(status or ""), f"`{code}`" if code else ""))),
            " ".join((meaning, *known)),
        )


def _lowered(text: str | None) -> str:
    return (text or "")[:1].lower() + (text or "")[1:]


def _answers() -> list[type[msgspec.Struct]]:
    found = [getattr(client, name) for name in sorted(client.__all__)]
    return [kind for kind in found if inspect.isclass(kind) and issubclass(kind, models.Model)]


def parts() -> Iterator[Iterable[str]]:
    """The page, piece by piece."""
    yield [_SAMPLE]
    yield ["## The client", "", *_class("Longlist", client.Longlist)]
    yield _methods("client.", client.Longlist)
    for name, class_ in _resources(client.Longlist).items():
        yield [f"## `client.{name}`", *_said(class_), *_methods(f"client.{name}.", class_)]
    for name, class_ in _resources(client.AccountGroup).items():
        yield [f"## `account.{name}`", *_said(class_), *_methods(f"account.{name}.", class_)]
    yield ["## Downloads", *_said(client.Download)]
    yield _methods("download.", client.Download)
    yield ["## What is sent", "", "A member that is None is not sent.", ""]
    yield _definition_of_kinds()
    yield from (_struct(struct) for struct in _INPUTS)
    yield [
        "## What is answered", "",
        "Members that a later server adds are ignored. Times are aware datetimes in UTC. An `etag`"
        " stands on what came alone in an answer; in lists it is None.", "",
    ]  # fmt: skip
    yield from (_struct(struct) for struct in _answers())
    yield ["## Errors", ""]
    yield _table(("Class", "Status and code", "When"), _error_rows())
    yield ["## `Retries`", "", *_class("Retries", client.Retries)]
    yield _testing()


def _definition_of_kinds() -> Iterator[str]:
    yield "```pyi"
    for name in ("AudienceKind", "SuppressionKind", "RepeatableSource", "ProspectingSource"):
        shown = _type(getattr(inputs, name))
        is_long = len(f"{name} = {shown}") > PAGE_WIDTH
        yield from (f"{name} = (", f"    {shown}", ")") if is_long else (f"{name} = {shown}",)
    yield "```"


def _testing() -> Iterator[str]:
    yield from ("## For your tests", "", "In `longlist_client.testing`:", "")
    yield from _class("MockLonglist", testing.MockLonglist)
    yield from _methods("mock.", testing.MockLonglist)
    yield from ("### Fixtures", "", *_said(fixtures))
    for name in sorted(vars(fixtures)):
        if name.startswith("longlist_"):
            yield f"- `{name}`: {_lowered(inspect.getdoc(getattr(fixtures, name)))}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
