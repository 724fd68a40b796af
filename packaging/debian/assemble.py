"""Fill the three Debian packages: `python3 packaging/debian/assemble.py DEBIAN-DIRECTORY`, from debian/rules.

Everything that is one per program comes from svtree/registry.py: the launchers, the links in /usr/bin and /usr/sbin,
the manual pages. The service directories that ship are the templates in service/, their programs and watch files as
conffiles, the rest for /usr/libexec/svtree/setup to take its first values from.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from docutils.core import publish_file  # noqa: E402 - after the path to our own package

from svtree.registry import PROGRAMS, Program  # noqa: E402 - as above

PRIVATE = "/usr/share/svtree/python"
LIBEXEC = "usr/libexec/svtree"
# -I: neither the caller's PYTHONPATH nor what a user has installed at home gets in. svtree.multicall knows this form.
LAUNCHER = """#!/usr/bin/python3 -I
import sys
sys.path.insert(0, {private!r})
from svtree.multicall import run
run({name!r})
"""
COMMANDS = ("daemontools", "ucspi-tcp", "relay-ctrl")
# In /usr/sbin, where Policy 11.6 and every program that sends mail expect it, and where it was before that.
SENDMAIL = ("usr/sbin/sendmail", "usr/lib/sendmail")
# Names that a whole system's /usr/bin has no room for: they are run from the programs' directory.
TOO_GENERAL = ("config", "config-fast")
# Other names of the mail system, by Policy 11.6 and custom, with the page that tells about each.
ALSO = {"mailq": "qmail-qread.8", "newaliases": "sendmail.8"}
# As svtree.cli.layout has it, which this cannot import: click may be missing where packages are built.
WATCHED = (("qmail-send", ("locals", "virtualdomains"), "hup"), ("smtpd", ("esmtp", "rcptcheck"), "restart"))
CONFFILES = ("run", "log/run", "watch")


def main(debian: Path) -> None:
    """Write below debian/svtree, debian/svtree-commands and debian/svtree-mail."""
    packages = {name: debian / name for name in ("svtree", "svtree-commands", "svtree-mail")}
    base = packages["svtree"]
    _modules(base)
    for program in PROGRAMS:
        _launcher(base / LIBEXEC / "bin" / program.name, program)
        owner = packages[_package(program)]
        for link in _links(program):
            _link(owner, link, f"{LIBEXEC}/bin/{program.name}")
        _page(program, owner)
    _mail(debian, packages["svtree-mail"])
    _services(base)
    _copy(debian / "setup.sh", base / LIBEXEC / "setup", 0o755)


def _package(program: Program) -> str:
    if program.suite in COMMANDS:
        return "svtree-commands"
    return "svtree-mail" if program.suite == "qmail" else "svtree"


def _links(program: Program) -> tuple[str, ...]:
    if program.name == "sendmail":
        return SENDMAIL
    if program.name == "svtree":
        return ("usr/sbin/svtree",)
    # What else belongs to the suite svtree is run by service directories alone.
    return () if program.suite == "svtree" or program.name in TOO_GENERAL else (f"usr/bin/{program.name}",)


def _modules(base: Path) -> None:
    target = base / PRIVATE.lstrip("/") / "svtree"
    shutil.copytree(ROOT / "svtree", target, ignore=shutil.ignore_patterns("__pycache__", "py.typed"))
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    # What `svtree init` copies: an ordinary user's tree has the same services.
    shutil.copytree(ROOT / "service", base / "usr/share/svtree/service")
    _link(base, f"{PRIVATE.lstrip('/')}/svtree/cli/templates", "usr/share/svtree/service")


def _launcher(path: Path, program: Program) -> None:
    _write(path, LAUNCHER.format(private=PRIVATE, name=program.name), 0o755)


def _page(program: Program, owner: Path) -> None:
    source = ROOT / "docs" / "man" / f"{program.name}.{program.section}.rst"
    if not source.exists():
        sys.exit(f"assemble: fatal: {source.relative_to(ROOT)}: {program.name} has no manual page")
    target = owner / "usr/share/man" / f"man{program.section}" / source.stem
    target.parent.mkdir(parents=True, exist_ok=True)
    publish_file(source_path=str(source), destination_path=str(target), writer_name="manpage")


def _mail(debian: Path, mail: Path) -> None:
    for name, page in ALSO.items():
        _copy(debian / f"{name}.sh", mail / "usr/bin" / name, 0o755)
        section = page.rpartition(".")[2]
        _link(mail, f"usr/share/man/man{section}/{name}.{section}", f"usr/share/man/man{section}/{page}")


def _services(base: Path) -> None:
    for service in sorted((ROOT / "service").iterdir()):
        for piece in CONFFILES:
            if (service / piece).exists():
                _copy(service / piece, base / "etc/svtree/service" / service.name / piece)
    for name, controls, action in WATCHED:
        with (base / "etc/svtree/service" / name / "watch").open("a") as watch:
            watch.writelines(f"/etc/svtree/control/{control}  {action}\n" for control in controls)


def _link(package: Path, name: str, target: str) -> None:
    """A link as Policy 10.5 has it: absolute between top-level directories, relative within one (all are in usr)."""
    path = package / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("../" * (name.count("/") - 1) + target.removeprefix("usr/"))


def _copy(source: Path, target: Path, mode: int | None = None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    if mode is not None:
        target.chmod(mode)


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
