"""Compiling rules so that nobody meets half of them, and nobody is disturbed by rules that say the same.

tcprules writes `.CDB.new` beside the cdb. If that is the cdb byte for byte, it is removed and nothing has changed;
otherwise it is renamed into the cdb's place. The directory is not synced: should the machine stop before the rename is
on disk, the rules are newer than the cdb at the next start, and are compiled then.
"""

from __future__ import annotations

import os

from svtree.formats.watchfile import Compile
from svtree.multicall import search
from svtree.program import PERMANENT
from svtree.system.atomic import discard
from svtree.system.errors import reason
from svtree.watch.jobs import Ended, Order, first_line
from svtree.watch.machine import Complaint, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from svtree.formats.watchfile import Entry
    from svtree.program import Environ

PROGRAM = b"tcprules"
WARNING = b"tcprules: warning: "
# A million rules take two seconds.
SECONDS = 30.0
# The service reads the cdb as its own user.
MODE = 0o644
BLOCK = 1 << 18


class Compilation:
    """One compilation: what to start, and what to do with the result."""

    def __init__(self, directory: bytes, entry: Entry) -> None:
        """`entry` is one whose action is Compile; paths are relative to `directory`."""
        assert isinstance(entry.action, Compile)  # noqa: S101 - the caller has asked
        self._directory = directory
        self._source = entry.pattern
        self._target = entry.action.target
        folder, slash, name = self._target.rpartition(b"/")
        self._new, self._temporary = (folder + slash + b"." + name + end for end in (b".new", b".tmp"))

    def order(self, environ: Environ) -> Order:
        """The process to start. Raises FileNotFoundError if there is no tcprules on PATH."""
        program = search(PROGRAM, environ)
        if program is None:
            raise FileNotFoundError
        # The third argument is the name by which our tcprules speaks of its input; the original ignores it.
        argv = (PROGRAM, self._new, self._temporary, self._source)
        return Order(os.path.abspath(program), argv, self._directory, self._source, SECONDS)

    def warnings(self, ended: Ended) -> tuple[str, ...]:
        """What our tcprules has warned of, "tcp.smtp:3: why", though it has compiled the rules; none if it has not."""
        if self._failure(ended) is not None:
            return ()
        # Only the beginning of a long output is kept: its last line may be half.
        whole = ended.output[: ended.output.rfind(b"\n") + 1].splitlines()
        return tuple(first_line(line.removeprefix(WARNING)) for line in whole if line.startswith(WARNING))

    def judge(self, ended: Ended) -> Iterator[Outcome | None]:
        """What has become of it: None after each block compared, in the end the Outcome."""
        outcome = self._failure(ended)
        if outcome is not None:
            self._clean()
            yield outcome
            return
        try:
            for same in self._compare():
                if same is None:
                    yield None
                elif same:
                    self._clean()
                    yield Outcome(changed=False)
                else:
                    os.chmod(self._whole(self._new), MODE)
                    os.rename(self._whole(self._new), self._whole(self._target))
                    yield Outcome(changed=True)
        except OSError as error:
            self._clean()
            yield self._outcome(0, f"unable to replace {self._shown()}: {reason(error)}", temporary=True)

    def _failure(self, ended: Ended) -> Outcome | None:
        said = first_line(ended.output)
        if ended.late:
            return self._outcome(0, f"tcprules did not end within {SECONDS:.0f} seconds", temporary=False)
        if ended.status is None:
            return self._outcome(0, f"unable to run tcprules: {said or 'its exit status is lost'}", temporary=True)
        code = os.waitstatus_to_exitcode(ended.status)
        if code < 0:
            return self._outcome(0, f"tcprules was killed by signal {-code}", temporary=True)
        if code:
            line, why = self._place(said.removeprefix("tcprules: fatal: "))
            return self._outcome(line, why or f"tcprules exited {code}", temporary=code != PERMANENT)
        return None

    def _place(self, said: str) -> tuple[int, str]:
        """The line and the reason in "tcp.smtp:3: missing closing quote"; 0 and all of it in what is not like that."""
        rest = said.removeprefix(self._source.decode("utf-8", "replace") + ":")
        digits, colon, why = rest.partition(": ")
        return (int(digits), why) if rest != said and colon and digits.isdecimal() else (0, said)

    def _outcome(self, line: int, why: str, *, temporary: bool) -> Outcome:
        return Outcome(changed=False, complaint=Complaint(self._source, line, why), temporary=temporary)

    def _compare(self) -> Iterator[bool | None]:
        """Whether the new cdb is the old one: None after each block, then the answer."""
        with open(self._whole(self._new), "rb", buffering=0) as new:
            try:
                old = open(self._whole(self._target), "rb", buffering=0)
            except FileNotFoundError:
                yield False
                return
            with old:
                if os.fstat(new.fileno()).st_size != os.fstat(old.fileno()).st_size:
                    yield False
                    return
                while block := new.read(BLOCK):
                    if block != old.read(BLOCK):
                        yield False
                        return
                    yield None
        yield True

    def _clean(self) -> None:
        for path in (self._new, self._temporary):
            try:
                discard(self._whole(path))
            except OSError:
                # It is written over the next time.
                continue

    def _whole(self, path: bytes) -> bytes:
        return path if path[:1] == b"/" else self._directory + b"/" + path

    def _shown(self) -> str:
        return self._target.decode("utf-8", "surrogateescape")
