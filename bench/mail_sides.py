"""The two sides of bench_mail: this qmail, and what it is measured against.

`Ours` is a tree as `svtree init` makes it. The other is real qmail if /var/qmail/bin has it and root asks, in a mount
namespace of its own with a queue, control files and users of its own, so that the machine's mail is not touched;
else ours with one process for each thing to do and one sync for each message, `Alone`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.mail_clients import HOST, PASSWORD, USER
from svtree.mail import accounts
from svtree.mail.queue import trigger, writer
from svtree.mail.queue.layout import Owners, make_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
QMAIL = Path("/var/qmail")
NEEDED = ("qmail-smtpd", "qmail-queue", "qmail-start", "qmail-send", "qmail-local", "qmail-popup", "qmail-pop3d")
C_TCPSERVER = Path("/usr/bin/tcpserver")
PLAIN = ("-HRl0", "-c100", "-1", "127.0.0.1", "0")
# What the service smtpd ships with; more are started when these are busy.
WORKERS = "4"
MESSAGE = b"Subject: bench\n\n" + (b"y" * 78 + b"\n") * 25
# sha512-crypt, of PASSWORD: both sides check the same secret.
SECRET = b"$6$bench$"
# Within its own mount namespace, real qmail finds ours at these places.
ENTER = """
for each in queue control users; do mount --bind "$0/$each" /var/qmail/$each || exit 111; done
exec "$@"
"""
# checkpassword(8) for real qmail, which brings none: the account's secret, user, group and home are its arguments.
CHECKER = r"""
#define _GNU_SOURCE
#include <crypt.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char said[513], *word, *found;
  int size = 0, more;
  if (argc < 6) return 2;
  while ((more = read(3, said + size, 512 - size)) > 0) size += more;
  said[size] = 0;
  close(3);
  word = said + strlen(said) + 1;
  found = crypt(word, argv[1]);
  if (!found || strcmp(found, argv[1])) return 1;
  if (setgroups(0, 0) || setgid(atoi(argv[3])) || setuid(atoi(argv[2])) || chdir(argv[4])) return 111;
  setenv("USER", said, 1);
  setenv("HOME", argv[4], 1);
  execvp(argv[5], argv + 5);
  return 111;
}
"""


class Ours:
    """A tree of one user: whoever runs this."""

    name = "svtree"
    smtpd: Sequence[str] = ("--workers", WORKERS)

    def __init__(self, folder: Path) -> None:
        """Everything is made below `folder`."""
        self.folder = folder
        self.home = folder / "home"
        (self.home / "alias").mkdir(parents=True)
        _control(self.home / "control")
        self.user = accounts.add(os.fsencode(self.home), USER, PASSWORD)
        users = Path(os.fsdecode(accounts.path(os.fsencode(self.home))))
        users.write_bytes(USER + b":" + secret() + b"\n")
        self.maildir = Path(os.fsdecode(self.user.home)) / "Maildir"
        self.fresh_queue()

    def fresh_queue(self) -> None:
        """An empty queue. The old one is kept: ext4 makes files more slowly where many have just been removed."""
        _set_aside(self.home / "queue")
        make_queue(os.fsencode(self.home), Owners(-1, -1, -1, -1))

    def environ(self) -> dict[str, str]:
        """What its programs run with."""
        return {"PATH": f"{BIN}:/usr/bin:/bin", "QMAILHOME": str(self.home), "LC_ALL": "C.UTF-8", "RELAYCLIENT": ""}

    @contextlib.contextmanager
    def smtp(self) -> Iterator[int]:
        """Serve SMTP: yields the port."""
        with serving([str(BIN / "tcpserver"), *self.smtpd, *PLAIN, "qmail-smtpd"], self.environ()) as port:
            yield port

    def pop3d(self) -> list[str]:
        """What serves a POP3 session."""
        return ["qmail-popup", os.fsdecode(HOST), "checkpassword", "qmail-pop3d", "Maildir"]

    @contextlib.contextmanager
    def pop3(self) -> Iterator[int]:
        """Serve POP3: yields the port."""
        with serving([str(BIN / "tcpserver"), *PLAIN, *self.pop3d()], self.environ()) as port:
            yield port

    def start(self) -> list[str]:
        """What delivers the queue."""
        return [str(BIN / "qmail-start"), "./Maildir/"]

    def deliver(self, count: int) -> float:
        """Local deliveries a second, from todo/ into a Maildir, by programs that run already."""
        self.fresh_queue()
        self.fill(count)
        new = self.maildir / "new"
        _set_aside(new)
        new.mkdir(mode=0o700)
        os.chown(new, self.user.uid, self.user.gid)
        todo, held = self.home / "queue" / "todo", self.folder / f"held.{time.monotonic_ns()}"
        held.mkdir()
        _move(todo, held)
        logged = self.folder / "log"
        with logged.open("wb") as log:
            process = subprocess.Popen(self.start(), env=self.environ(), stdout=log)
        try:
            self._wait(process, lambda: b"status: local 0/" in logged.read_bytes())
            begin = time.monotonic()
            _move(held, todo)
            queue = writer.Queue(os.fsencode(self.home))
            trigger.pull(queue.descriptor)
            queue.close()
            self._wait(process, lambda: len(os.listdir(new)) >= count)
            return count / (time.monotonic() - begin)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()

    def _wait(self, process: subprocess.Popen[bytes], seen: Callable[[], bool]) -> None:
        end = time.monotonic() + 120
        while not seen():
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"bench_mail: {self.name} does not deliver: see {self.folder / 'log'}")
            time.sleep(0.005)

    def fill(self, count: int) -> None:
        """Put so many messages into the queue, which looks the same on both sides."""
        queue = writer.Queue(os.fsencode(self.home))
        for _ in range(count):
            entry = writer.Entry(queue, os.getuid(), os.getpid(), b"from network")
            entry.write(MESSAGE)
            entry.address(b"Fsender@elsewhere.example\0T%s@%s\0" % (USER, HOST))
            entry.commit()
        queue.close()

    def fill_mailbox(self) -> None:
        """Mail to read: five messages."""
        for number in range(5):
            path = self.maildir / "cur" / f"1.{number}.bench:2,S"
            path.write_bytes(MESSAGE)
            os.chown(path, self.user.uid, self.user.gid)


class Alone(Ours):
    """Ours with a process and a sync for each thing to do."""

    name = "svtree, one process and one sync each"
    smtpd = ()

    def __init__(self, folder: Path) -> None:
        """A qmail-local that is not ours by its place is executed."""
        super().__init__(folder)
        programs = folder / "programs"
        programs.mkdir()
        python = _python_for(self.user.uid)
        for name in ("qmail-popup", "checkpassword", "qmail-pop3d", "qmail-local"):
            text = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom svtree.multicall import run\nrun({name!r})\n"
            (programs / name).write_text(f"#!{python}\n{text}")
            (programs / name).chmod(0o755)

    def environ(self) -> dict[str, str]:
        """With qmail-queue executed for each message."""
        found = super().environ()
        return {**found, "PATH": f"{self.folder / 'programs'}:{found['PATH']}", "QMAILQUEUE": str(BIN / "qmail-queue")}


class Real(Ours):
    """Real qmail, as root runs it."""

    name = "real qmail"

    def __init__(self, folder: Path) -> None:
        """The queue is qmail's by owners and modes; the user is nobody, by users/cdb."""
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        nobody = pwd.getpwnam("nobody")
        uid, gid, home = nobody.pw_uid, nobody.pw_gid, folder / "user"
        _control(self.home / "control")
        self.user = accounts.Account(USER, uid, gid, os.fsencode(home), b"/bin/sh", virtual=True)
        home.mkdir(mode=0o700)
        os.chown(home, uid, gid)
        self.maildir = home / "Maildir"
        accounts.make_maildir(os.fsencode(self.maildir), (uid, gid))
        (self.home / "users").mkdir()
        line = f"{os.fsdecode(USER)}:nobody:{uid}:{gid}:{home}"
        (self.home / "users" / "assign").write_text(f"={line}:::\n+{line.replace(':', '-:', 1)}:-::\n.\n")
        subprocess.run([BIN / "qmail-newu"], env=super().environ(), check=True)
        (self.home / "users" / "cdb").chmod(0o644)
        self.checker = folder / "checker"
        source = folder / "checker.c"
        source.write_text(CHECKER)
        subprocess.run(["cc", "-O2", "-o", self.checker, source, "-lcrypt"], check=True)
        self.fresh_queue()

    @staticmethod
    def here() -> bool:
        """Whether it can be had."""
        return (
            os.geteuid() == 0
            and all((QMAIL / "bin" / name).exists() for name in NEEDED)
            and all(map(shutil.which, ("unshare", "cc")))
        )

    def fresh_queue(self) -> None:
        """With qmail's own owners."""
        _set_aside(self.home / "queue")
        make_queue(os.fsencode(self.home))

    def environ(self) -> dict[str, str]:
        """Real qmail knows where it is."""
        return {"PATH": f"{QMAIL}/bin:/usr/bin:/bin", "RELAYCLIENT": ""}

    def within(self, *words: str) -> list[str]:
        """A command in its namespace."""
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", ENTER, str(self.home), *words]

    def tcpserver(self, *words: str) -> list[str]:
        """What accepts for it: the C program if it is installed."""
        return self.within(str(C_TCPSERVER if C_TCPSERVER.exists() else BIN / "tcpserver"), *words)

    @contextlib.contextmanager
    def smtp(self) -> Iterator[int]:
        """Serve SMTP as qmaild."""
        daemon = pwd.getpwnam("qmaild")
        who = f"-u{daemon.pw_uid}", f"-g{daemon.pw_gid}"
        with serving(self.tcpserver(*who, *PLAIN, f"{QMAIL}/bin/qmail-smtpd"), self.environ()) as port:
            yield port

    @contextlib.contextmanager
    def pop3(self) -> Iterator[int]:
        """Serve POP3."""
        host, who = os.fsdecode(HOST), (str(self.user.uid), str(self.user.gid), os.fsdecode(self.user.home))
        checker = str(self.checker), secret().decode(), *who
        words = f"{QMAIL}/bin/qmail-popup", host, *checker, f"{QMAIL}/bin/qmail-pop3d", "Maildir"
        with serving(self.tcpserver(*PLAIN, *words), self.environ()) as port:
            yield port

    def start(self) -> list[str]:
        """What delivers the queue."""
        return self.within(f"{QMAIL}/bin/qmail-start", "./Maildir/")


@contextlib.contextmanager
def serving(command: Sequence[str], environ: dict[str, str]) -> Iterator[int]:
    """Run a tcpserver that prints its port (-1)."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def secret() -> bytes:
    """What crypt(3) makes of the password."""
    import ctypes

    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    made = library.crypt(PASSWORD, SECRET)
    if not isinstance(made, bytes):
        raise SystemExit("bench_mail: libcrypt knows no sha512-crypt")
    return made


def _python_for(uid: int) -> str:
    """A Python that this account may run: the checkout's own may lie below somebody's home directory."""
    for python in (sys.executable, "/usr/bin/python3"):
        command = [python, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import svtree.multicall"]
        user = uid if os.geteuid() == 0 else None
        with contextlib.suppress(OSError):
            if subprocess.run(command, user=user, group=user, stderr=subprocess.DEVNULL, check=False).returncode == 0:
                return python
    raise SystemExit(f"bench_mail: the user with number {uid} may run no Python that sees {ROOT}")


def _control(directory: Path) -> None:
    directory.mkdir()
    for name in ("me", "locals", "rcpthosts"):
        (directory / name).write_bytes(HOST + b"\n")


def _move(source: Path, target: Path) -> None:
    for each in source.iterdir():
        each.rename(target / each.name)


def _set_aside(path: Path) -> None:
    if path.exists():
        path.rename(path.with_name(f"{path.name}.{time.monotonic_ns()}"))
