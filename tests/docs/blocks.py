"""The command blocks of a page, from reStructuredText and Markdown.

A block of language `console` is what a terminal shows: `$ ` begins a command (a line that ends with a backslash goes on
in the next), `> ` a line that is typed to it, any other line is what it prints; `...` stands for anything, within a
line or, alone, for lines. Any block with a caption (rst) or a comment `file: PATH` before it (Markdown) is a
file that the reader writes. A block that cannot be run everywhere has the class `not-run`, or the comment
`not run: why` before it in Markdown; the reason stands in a comment before it in reStructuredText too.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

COMMANDS = ("console", "sh", "bash", "shell")
RST = re.compile(
    r"^(?P<indent> *)(?:\.\. not run: (?P<why>.+)\n+ *)?\.\. code-block:: (?P<language>\w+)\n"
    r"(?P<options>(?:(?P=indent) +:.+\n)*)\n(?P<body>(?:(?P=indent) {3,}.*\n|\n)+)",
    re.MULTILINE,
)
MARKDOWN = re.compile(
    r"^(?:<!-- (?P<mark>file|not run): (?P<value>[^\n]+) -->\n+)?```(?P<language>\w*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Command:
    """One command of a block, what is typed to it and the lines it is to print."""

    text: str
    typed: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Block:
    """A block of a page, `line` being where it begins. `file`: the path it is written to; `why`: why it is not run."""

    page: Path
    line: int
    language: str
    body: str
    file: str = ""
    why: str = ""

    @property
    def place(self) -> str:
        """Where a reader of a failure looks."""
        return f"{self.page.name}:{self.line}"

    def commands(self) -> list[Command]:
        """The commands of a `console` block, in order."""
        found: list[Command] = []
        lines = iter(self.body.splitlines())
        for line in lines:
            if line.startswith("$ "):
                text = line[2:]
                while text.endswith("\\"):
                    text += "\n" + next(lines)
                found.append(Command(text))
            elif line.startswith("> "):
                found[-1].typed.append(line[2:])
            elif line == ">":
                found[-1].typed.append("")
            else:
                found[-1].printed.append(line)
        return found


def blocks(page: Path) -> Iterator[Block]:
    """Every block of `page` that is a command or a file."""
    text = page.read_text() + "\n"
    form = MARKDOWN if page.suffix == ".md" else RST
    for match in form.finditer(text):
        line = text.count("\n", 0, match.start("body")) + 1
        language, body = match["language"], textwrap.dedent(match["body"]).strip("\n") + "\n"
        if page.suffix == ".md":
            file = match["value"] if match["mark"] == "file" else ""
            why = match["value"] if match["mark"] == "not run" else ""
        else:
            options = dict(re.findall(r":(\w+): *(.*)", match["options"]))
            file = options.get("caption", "")
            why = match["why"] or ("" if options.get("class") != "not-run" else "unsaid")
        if file or language in COMMANDS:
            yield Block(page, line, language, body, file, why)
