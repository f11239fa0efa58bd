"""Commands on a server: each gets the options that say which server, which key and how to print."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from longlist.remote.completion import profile_names

Url = Annotated[
    str | None, typer.Option(metavar="URL", help="The server. Also LONGLIST_URL, or a profile.")
]
Key = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="Better as LONGLIST_API_KEY: others see arguments."),
]
Profile = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A profile of yours. Also LONGLIST_PROFILE.",
        autocompletion=profile_names,
    ),
]
AccountGroup = Annotated[
    str | None, typer.Option(metavar="ID", help="Needed where the key reaches several.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_CONNECTION: Final[tuple[tuple[str, Any, Any], ...]] = (
    ("url", Url, None),
    ("key", Key, None),
    ("profile", Profile, None),
    ("account_group", AccountGroup, None),
    ("json", Json, False),
)


def command(
    app: typer.Typer, name: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add a function to `app`: its first argument is the Remote, the others are its options.

    The options that all of them share are written once, above, rather than in each signature.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        # Commands import Remote for the type checker alone: nothing of it is needed to start.
        kinds = inspect.get_annotations(function, locals={"Remote": Any}, eval_str=True)
        _remote, *own = inspect.signature(function).parameters.values()

        keyword = inspect.Parameter.KEYWORD_ONLY

        def run(**values: Any) -> None:
            from longlist.remote.connection import opened, target

            given = [values.pop(option) for option in ("url", "key", "profile", "account_group")]
            with opened(target(*given), as_json=values.pop("json")) as remote:
                function(remote, **values)

        shared = [
            inspect.Parameter(option, keyword, default=at, annotation=kind)
            for option, kind, at in _CONNECTION
        ]
        parameters = [p.replace(kind=keyword, annotation=kinds[p.name]) for p in own] + shared
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__name__, run.__doc__ = function.__name__, function.__doc__
        app.command(name)(run)
        return function

    return register
