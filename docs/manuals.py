"""The manual pages as a part of the site: a Sphinx extension.

docs/man holds pages for docutils' man writer: a title, the purpose as its subtitle, section and group as fields. For
the site that head is made a title with the section and a sentence; `name(8)` anywhere becomes a link to that page; and
the directive `programs` lists every program of the registry by suite.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from svtree import registry
from svtree.registry import BY_NAME, PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

HEAD = re.compile(r"=+\n(?P<name>.+)\n=+\n-+\n(?P<purpose>.+)\n-+\n:Manual section: (?P<section>\d)\n(?::.*\n)*")
MENTION = re.compile(r"(?<![\w@-])([a-z][\w@-]*)\((\d)\)")
# Bold names, `**svc**\ (8)`, come as two neighbours: the name, and text that begins with this.
SECTION = re.compile(r"\((\d)\)")
SUITES = {
    "daemontools": "Supervision and logs",
    "ucspi-tcp": "Connections",
    "relay-ctrl": "POP before SMTP",
    "qmail": "Mail",
    "svtree": "svtree's own",
}


class Programs(SphinxDirective):
    """The index of the manual, made from the registry: a list for each suite, and the tree of contents."""

    def run(self) -> list[nodes.Node]:
        """Parse what `_lines` says as if it stood in the page."""
        self.env.note_dependency(registry.__file__)
        return self.parse_text_to_nodes("\n".join(_index()), allow_section_headings=True)


def _index() -> Iterator[str]:
    for suite, members in groupby(sorted(PROGRAMS, key=lambda each: list(SUITES).index(each.suite)), _suite):
        title = f"{SUITES[suite]} ({suite})" if suite != "svtree" else SUITES[suite]
        yield from (title, "-" * len(title), "")
        for each in sorted(members, key=lambda each: each.name):
            yield from (
                f":doc:`{each.name}({each.section}) <man/{each.name}.{each.section}>`",
                f"   {each.purpose}",
                "",
            )
    yield from (".. toctree::", "   :hidden:", "   :maxdepth: 1", "")
    yield from (f"   man/{each.name}.{each.section}" for each in sorted(PROGRAMS, key=lambda each: each.name))


def _suite(program: object) -> str:
    return str(getattr(program, "suite", ""))


def rewrite_head(_: Sphinx, docname: str, source: list[str]) -> None:
    """Turn the head of a manual page into a title and a sentence."""
    if docname.startswith("man/") and (head := HEAD.match(source[0])):
        title = f"{head['name']}({head['section']})"
        purpose = head["purpose"]
        frame = "#" * len(title)
        source[0] = f"{frame}\n{title}\n{frame}\n\n*{purpose}*\n\n{source[0][head.end() :]}"


class Mentions(SphinxPostTransform):
    """Makes a link of every mention of a program with its section."""

    default_priority = 5
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Walk the text of the page; literal blocks and what is a link already stay as they are."""
        for text in list(self.document.findall(nodes.Text)):
            if not _inside(text, nodes.literal, nodes.literal_block, nodes.reference, nodes.title):
                self._link(text)

    def _link(self, text: nodes.Text) -> None:
        before = text.parent.children[text.parent.index(text) - 1] if text.parent.index(text) else None
        section = SECTION.match(text)
        if section and isinstance(before, nodes.strong) and self._known(before.astext(), section[1]):
            before.replace_self(self._reference(before.astext(), section[1], before.deepcopy()))
            return
        made: list[nodes.Node] = []
        end = 0
        for match in MENTION.finditer(text):
            if self._known(match[1], match[2]):
                made += [nodes.Text(text[end : match.start()]), self._reference(match[1], match[2])]
                end = match.end()
        if made:
            text.parent.replace(text, [*made, nodes.Text(text[end:])])

    def _known(self, name: str, section: str) -> bool:
        return name in BY_NAME and str(BY_NAME[name].section) == section and self.env.docname != f"man/{name}.{section}"

    def _reference(self, name: str, section: str, content: nodes.Node | None = None) -> nodes.reference:
        uri = self.app.builder.get_relative_uri(self.env.docname, f"man/{name}.{section}")
        return nodes.reference("", "", content or nodes.Text(f"{name}({section})"), internal=True, refuri=uri)


def _inside(node: nodes.Node, *kinds: type[nodes.Node]) -> bool:
    parent: nodes.Node | None = node.parent
    while parent is not None:
        if isinstance(parent, kinds):
            return True
        parent = parent.parent
    return False


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_directive("programs", Programs)
    app.connect("source-read", rewrite_head)
    app.add_post_transform(Mentions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
