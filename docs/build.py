"""Make manual pages and their index from docs/man: `python docs/build.py DIRECTORY`.

One reStructuredText source a program, one page a program; the index is made from the registry. Warnings are errors.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docutils.core import publish_file

from svtree.registry import PROGRAMS

SOURCES = Path(__file__).parent / "man"


def build(target: Path) -> int:
    """Write man1/, man5/, man8/ and index.txt below `target`; return how many pages."""
    pages = sorted(SOURCES.glob("*.rst"))
    for page in pages:
        section = page.stem.rpartition(".")[2]
        folder = target / f"man{section}"
        folder.mkdir(parents=True, exist_ok=True)
        publish_file(
            source_path=str(page),
            destination_path=str(folder / page.stem),
            writer="manpage",
            settings_overrides={"halt_level": 2, "report_level": 2},
        )
    lines = [f"{each.name}({each.section})  {each.purpose}  [{each.suite}]" for each in PROGRAMS]
    (target / "index.txt").write_text("\n".join(sorted(lines)) + "\n")
    return len(pages)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("docs/build.py: usage: docs/build.py DIRECTORY")
    count = build(Path(sys.argv[1]))
    sys.stdout.write(f"{count} manual pages in {sys.argv[1]}\n")
