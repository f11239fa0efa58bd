"""Builds the documentation as a site that needs no server and no network: `make site`.

    .venv/bin/python docs/build_site.py [FOLDER]

`docs/index.md` is the one list of what there is: its headings become the tabs of the site, and its
list entries the pages below them. A page that it does not name is an error, as is a link that
leads nowhere. Pages outside `docs/` that it names, such as the client's, are taken along.

The pages are written for readers of the repository. What only a site needs is done to copies of
them, in a folder for a moment: links to files that are not on the site become plain text, and
notes for the tests leave the heads of code blocks.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = "site"
_EXTRAS: Final = "docs/site"
_TAB: Final = re.compile(r"(#{2,3}) +(.+)")
_ENTRY: Final = re.compile(r"- \[(?P<title>[^\]]+)\]\((?P<path>[^)#\s]+\.md)\)")
_FENCE: Final = re.compile(r"(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^`]*)\Z")
_LINK_OR_CODE: Final = re.compile(
    r"(?P<image>!?)\[(?P<text>(?:`[^`]*`|[^\]`])*)\]\((?P<target>[^)\s]+)\)|`[^`]*`"
)
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_SENTENCE: Final = re.compile(r".+?[.!?](?=\s|\Z)", re.DOTALL)


class SiteError(Exception):
    """The site cannot be built; the message names the page at fault."""


@dataclass(frozen=True)
class Page:
    """A page of the site. `tab` and `group` are headings of the index; `target` ends in `.md`."""

    tab: str
    group: str
    title: str
    source: Path
    target: str


class Site:
    """The pages of a copy of the repository, in the order of its index."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.docs = root / "docs"
        self.index = Page("", "", "Home", self.docs / "index.md", "index.md")
        self.pages = [self.index, *self._listed()]
        self._by_source = {page.source: page for page in self.pages}
        if len(self._by_source) < len(self.pages):
            raise SiteError("docs/index.md names a page twice")
        left_out = set(self.docs.rglob("*.md")) - set(self._by_source)
        if left_out:
            names = ", ".join(sorted(path.relative_to(root).as_posix() for path in left_out))
            raise SiteError(f"docs/index.md does not name {names}")

    def _listed(self) -> Iterator[Page]:
        tab = group = ""
        for line in self.index.source.read_text(encoding="utf-8").splitlines():
            heading, entry = _TAB.fullmatch(line), _ENTRY.match(line)
            if heading is not None:
                tab, group = (heading[2], "") if heading[1] == "##" else (tab, heading[2])
            elif entry is not None:
                source = (self.docs / entry["path"]).resolve()
                yield Page(tab, group, entry["title"], source, self._target(source))
                if source.name == "README.md" and source.is_relative_to(self.docs):
                    yield from self._of_folder(tab, source)

    def _of_folder(self, tab: str, readme: Path) -> Iterator[Page]:
        """The other pages of a folder whose README is listed, by their own titles."""
        for source in sorted(readme.parent.glob("*.md")):
            if source != readme:
                title = title_of(source.read_text(encoding="utf-8"))
                yield Page(tab, "", title, source, self._target(source))

    def _target(self, source: Path) -> str:
        """Where a page stands on the site: the README of a folder is its index."""
        if source.is_relative_to(self.docs):
            path = source.relative_to(self.docs)
            return (path.with_name("index.md") if path.name == "README.md" else path).as_posix()
        path = source.relative_to(self.root)
        name = path.parent.as_posix() if path.name == "README.md" else path.stem.lower()
        return f"project/{name.replace('/', '-')}.md"

    def text(self, page: Page) -> str:
        """A page as the site has it. Raises SiteError for a link that leads nowhere."""
        return rewritten(
            page.source.read_text(encoding="utf-8"), lambda link: self._link(page, link)
        )

    def _link(self, page: Page, link: str) -> str | None:
        """A link as it is on the site; None for one to a file that is not there."""
        if re.match(r"[a-z]+:|#", link):
            return link
        path, _, anchor = link.partition("#")
        wanted = (page.source.parent / path).resolve()
        found = self._by_source.get(wanted)
        if wanted == self.root / "README.md":
            found = self.index
        if found is not None:
            target = found.target
        elif wanted.is_relative_to(self.docs / "images") and wanted.is_file():
            target = wanted.relative_to(self.docs).as_posix()
        elif wanted.exists():
            return None
        else:
            raise SiteError(f"{page.source.relative_to(self.root)} links to {link}")
        relative = os.path.relpath(target, PurePosixPath(page.target).parent)
        return f"{relative}#{anchor}" if anchor else relative

    def navigation(self) -> str:
        """The pages as the generator's configuration wants them."""
        tabs: dict[str, dict[str, list[dict[str, str]]]] = {}
        for page in self.pages[1:]:
            groups = tabs.setdefault(page.tab, {})
            groups.setdefault(page.group, []).append({page.title: page.target})
        lines = ["[[project.nav]]", f'"{self.index.title}" = "{self.index.target}"']
        for tab, groups in tabs.items():
            entries: list[object] = []
            for group, pages in groups.items():
                entries += [{group: pages}] if group else pages
            lines += ["[[project.nav]]", f"{_toml(tab)} = {_toml(entries)}"]
        return "\n".join(lines) + "\n"

    def llms(self) -> str:
        """What there is to read, for programs: each page with its first sentence."""
        lines = ["# Longlist", "", f"> {summary_of(self.text(self.index))}"]
        tab = None
        for page in self.pages[1:]:
            if page.tab != tab:
                tab = page.tab
                lines += ["", f"## {tab}", ""]
            text = self.text(page)
            lines.append(f"- [{title_of(text)}]({page.target}): {summary_of(text)}")
        return "\n".join(lines) + "\n"

    def llms_full(self) -> str:
        """Every page in one text, each under a line that names it."""
        parts = [f"<!-- {page.target} -->\n\n{self.text(page)}" for page in self.pages]
        return "\n".join(parts)

    def build(self, folder: Path) -> None:
        """Write the site into a folder, whole or not at all. Raises SiteError."""
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as place:
            work = Path(place)
            self._lay_out(work)
            _generate(work)
            built = work / "site"
            for path in built.rglob("*.html"):
                path.write_text(breakable(path.read_text(encoding="utf-8")), encoding="utf-8")
            for page in self.pages:
                (built / page.target).write_text(self.text(page), encoding="utf-8")
            (built / "llms.txt").write_text(self.llms(), encoding="utf-8")
            (built / "llms-full.txt").write_text(self.llms_full(), encoding="utf-8")
            if folder.exists():
                shutil.rmtree(folder)
            built.rename(folder)

    def _lay_out(self, work: Path) -> None:
        """What the generator reads: pages, images, style, configuration."""
        shutil.copytree(self.docs / "images", work / "pages" / "images")
        for page in self.pages:
            path = work / "pages" / page.target
            path.parent.mkdir(parents=True, exist_ok=True)
            text = self.text(page)
            head = {"title": title_of(text), "description": summary_of(text)}
            hidden = "hide: [navigation, toc]\n" if page is self.index else ""
            front = "".join(f"{name}: {json.dumps(value)}\n" for name, value in head.items())
            path.write_text(f"---\n{front}{hidden}---\n\n{text}", encoding="utf-8")
        extras = self.root / _EXTRAS
        for name in ("site.css", "search-in-files.js", "logo.svg"):
            shutil.copy(extras / name, work / "pages" / name)
        settings = (extras / "zensical.toml").read_text(encoding="utf-8")
        (work / "zensical.toml").write_text(settings + self.navigation(), encoding="utf-8")


def _toml(value: object) -> str:
    """A text, list or mapping as an inline value of TOML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _generate(work: Path) -> None:
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(  # noqa: S603  # our own interpreter, fixed arguments
        command, cwd=work, capture_output=True, text=True, check=False
    )
    if done.returncode:
        told, _, trace = (done.stdout + done.stderr).partition("Traceback")
        raise SiteError(_COLOUR.sub("", told if "found" in told else told + trace).strip())


def title_of(text: str) -> str:
    """The heading of a page, without its marks."""
    found = re.search(r"^# +(.+)$", text, re.MULTILINE)
    if found is None:
        raise SiteError(f"a page without a heading: {text[:80]!r}")
    return _plain(found[1])


def summary_of(text: str) -> str:
    """The first sentence of a page's first paragraph, without its marks."""
    for block in re.split(r"\n{2,}", text.partition("\n")[2].strip()):
        if re.match(r"[A-Za-z`*\[\"']", block):
            plain = _plain(re.sub(r"\A\*\*Decision\.\*\* +", "", block))
            first = _SENTENCE.match(plain)
            return first[0] if first is not None else plain.rstrip(":") + "."
    raise SiteError(f"a page without a paragraph: {text[:80]!r}")


def _plain(text: str) -> str:
    """Text without links, code marks and emphasis, on one line."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\s+", " ", text.replace("**", "").replace("`", "")).strip()


def rewritten(text: str, link: Callable[[str], str | None]) -> str:
    """A page with its links and the heads of its code blocks as the site needs them."""
    lines: list[str] = []
    inside = ""
    for line in re.sub(r"<!--.*?-->\n*", "", text, flags=re.DOTALL).splitlines():
        fence = _FENCE.match(line)
        if inside:
            inside = "" if fence and fence["ticks"] == inside else inside
        elif fence:
            inside = fence["ticks"]
            line = f"{fence['indent']}{inside}{_head(fence['info'])}"  # noqa: PLW2901
        else:
            line = _LINK_OR_CODE.sub(lambda found: _changed(found, link), line)  # noqa: PLW2901
        lines.append(line)
    return "\n".join(lines) + "\n"


def breakable(html: str) -> str:
    """A built page whose paths in tables may go on in a new line before each slash."""
    return re.sub(
        r"(?<=<td><code>)[^<]*/[^<]*(?=</code>)",
        lambda found: re.sub(r"(?<=[^\s/])/", "<wbr>/", found[0]),
        html,
    )


def _head(info: str) -> str:
    """What follows the ticks of a code block: the language, and the name of a file."""
    language, _, rest = info.strip().partition(" ")
    is_note = "=" in rest or not rest
    return language if is_note else f'{language} title="{rest}"'


def _changed(found: re.Match[str], link: Callable[[str], str | None]) -> str:
    if found["target"] is None:
        return found[0]
    target = link(found["target"])
    if target is None:
        return found["text"]
    return f"{found['image']}[{found['text']}]({target})"


if __name__ == "__main__":
    into = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / FOLDER).resolve()
    try:
        Site().build(into)
    except SiteError as error:
        sys.exit(str(error))
    sys.stdout.write(f"Open {into / 'index.html'}\n")
