"""What Debian's archive does with a package: piuparts, autopkgtest."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deb.debian import ROOT, SUITE, administer, minimal, needed, packages

pytestmark = [pytest.mark.deb, pytest.mark.root, pytest.mark.slow]

SECONDS = 900.0


def test_piuparts_finds_nothing(tmp_path: Path) -> None:
    needed("piuparts", "dpkg-scanpackages")
    for path in packages().glob("*.deb"):
        shutil.copy(path, tmp_path)
    with (tmp_path / "Packages").open("wb") as index:
        subprocess.run(["dpkg-scanpackages", "."], cwd=tmp_path, stdout=index, stderr=subprocess.DEVNULL, check=True)
    done = administer(
        [
            *("piuparts", "--no-upgrade-test", "-D", "debian", "-d", SUITE, f"--existing-chroot={minimal()}"),
            # logrotate's own, written when it happens to run.
            *("--ignore=/var/lib/logrotate/status", f"--bindmount={tmp_path}"),
            f"--extra-repo=deb [trusted=yes] file:{tmp_path} ./",
            *sorted(tmp_path.glob("*.deb")),
        ],
        seconds=SECONDS,
    )
    text = done.out.decode(errors="replace")
    if "Temporary failure resolving" in text:
        pytest.skip("no archive of Debian to be reached")
    assert done.code == 0, "\n".join(line for line in text.splitlines() if "DEBUG" not in line)[-4000:]


def test_autopkgtest_passes(tmp_path: Path) -> None:
    needed("autopkgtest", "unshare", "ip")
    source, root = tmp_path / "source", tmp_path / "root"
    for path in (source, root):
        path.mkdir()
    git = ["git", "-c", "safe.directory=*", "-C", os.fspath(ROOT)]
    exported = subprocess.run([*git, "archive", "HEAD", "packaging/debian"], capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", source], input=exported.stdout, check=True)
    (source / "debian").symlink_to("packaging/debian")
    script = Path(__file__).with_name("autopkgtest.sh")
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    done = administer([*words, "sh", script, minimal(), root, packages(), source], seconds=SECONDS)
    text = done.out.decode(errors="replace")
    if done.code == 77 or "not permitted" in text:
        pytest.skip(text.strip().splitlines()[-1])
    assert done.code == 0, text[-4000:]
