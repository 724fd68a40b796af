"""Make one plain script and one manual page per program of the registry and hand them to the wheel.

Plain scripts, not console-script entry points: pip's wrapper for those imports `re` and costs each start 8 ms. pip
replaces `#!python` by the environment's interpreter, which svtree.multicall recognises as our own launcher.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LAUNCHER = """#!python
from svtree.multicall import run
run({name!r})
"""


class ScriptsHook(BuildHookInterface):  # type: ignore[misc]
    """Fills `shared_scripts` from svtree/registry.py, `shared_data` from docs/man."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write launchers and pages to directories of the build's own."""
        root = Path(self.root)
        folder = root / "build" / "scripts"
        folder.mkdir(parents=True, exist_ok=True)
        for program in load(root, "svtree/registry.py").PROGRAMS:
            script = folder / program.name
            script.write_text(LAUNCHER.format(name=program.name))
            script.chmod(0o755)
            build_data["shared_scripts"][str(script)] = program.name
        pages = root / "build" / "wheel-man"
        shutil.rmtree(pages, ignore_errors=True)
        load(root, "docs/build.py").build(pages)
        for page in sorted(pages.glob("man?/*")):
            build_data["shared_data"][str(page)] = f"share/man/{page.parent.name}/{page.name}"


def load(root: Path, path: str) -> ModuleType:
    """Import a module from the source tree without installing it."""
    sys.path.insert(0, str(root))
    try:
        spec = importlib.util.spec_from_file_location(f"svtree_{Path(path).stem}", root / path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(root))
