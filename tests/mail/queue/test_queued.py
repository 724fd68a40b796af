"""qmail-queued, over its socket: by the client that our programs use, and by clients that misbehave."""

from __future__ import annotations

import array
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from svtree.formats import netstring
from svtree.mail.queue import codes, submit
from svtree.mail.queue.client import ViaSocket
from svtree.mail.queue.submit import SubmitError
from tests.harness import DEADLINE, environment, ours, until
from tests.mail.queue.post import MESSAGE, Post

NOBODY = 65534
ENVELOPE = b"Fa@b\0Tc@d\0"


class Queued:
    """A running qmail-queued."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self.home = os.fsencode(post.home)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        self.process = self.post.processes.start([ours("qmail-queued"), *options], env=self.post.env(env))
        until(self.answers, what="qmail-queued listens")
        return self.process

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.post.home / "queue" / "socket"))
            return True

    def listens(self) -> bool:
        try:
            return self.answers()
        except ConnectionRefusedError:
            return False

    def connect(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(DEADLINE)
        made.connect(str(self.post.home / "queue" / "socket"))
        return made

    def client(self, origin: bytes | None = None) -> ViaSocket:
        return ViaSocket(self.home, origin, DEADLINE)


@pytest.fixture
def queued(post: Post) -> Iterator[Queued]:
    running = Queued(post)
    yield running
    if running.process is not None and running.process.poll() is None:
        running.process.terminate()
        running.process.wait(DEADLINE)


def wire(*pieces: bytes) -> bytes:
    return b"".join(map(netstring.encode, pieces))


def answer(connection: socket.socket) -> bytes:
    """Everything the server says until it closes."""
    said = b""
    while True:
        try:
            block = connection.recv(100)
        except ConnectionResetError:
            return said
        if not block:
            return said
        said += block


def code(said: bytes) -> int:
    (text,) = netstring.Decoder(64).feed(said)
    return int(text.split()[0])


def todo(post: Post) -> bytes:
    (name,) = post.files("todo")
    return (post.home / "queue" / name).read_bytes()


def mess(post: Post) -> bytes:
    (name,) = post.files("mess")
    return (post.home / "queue" / name).read_bytes()


def test_a_message_is_written_with_the_clients_uid_and_pid(post: Post, queued: Queued) -> None:
    queued.start()
    client = queued.client(b"network")
    client.write(MESSAGE)
    client.address(ENVELOPE)
    assert client.commit() == os.getpid()
    assert todo(post) == b"u%d\0p%d\0" % (os.getuid(), os.getpid()) + ENVELOPE
    # The queue's owner may say who invoked him, as he could in-process.
    assert re.fullmatch(
        rb"Received: \(qmail %d invoked from network\); [^\n]*\n" % os.getpid() + re.escape(MESSAGE), mess(post)
    )


def test_a_large_message_and_many_recipients_come_whole(post: Post, queued: Queued) -> None:
    queued.start()
    message = bytes(range(256)) * 8000
    records = b"Fa@b\0" + b"".join(b"T%d@example\0" % number for number in range(20_000))
    client = queued.client()
    client.write(message)
    client.address(records)
    client.commit()
    assert mess(post).endswith(message)
    assert todo(post).endswith(records)


def test_a_client_that_goes_away_leaves_nothing(post: Post, queued: Queued) -> None:
    queued.start()
    client = queued.client()
    client.write(b"x" * 100_000)
    client.address(ENVELOPE)
    until(lambda: post.files("mess"))
    client.abandon()
    until(lambda: not post.files())


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        (b"this is no netstring", 91),
        (wire(b"", MESSAGE, b"", b"Xgarbage\0", b""), 91),
        (wire(b"", MESSAGE, b"", b"Fa@b\0T" + b"x" * 1003 + b"\0", b""), 11),
        (wire(b"", MESSAGE, b"", b"Fa@b", b""), 54),
        (wire(b"", MESSAGE, b"", b""), 54),
        (b"99999:x", 91),
    ],
)
def test_what_makes_no_sense_is_refused_with_qmail_queues_code(
    post: Post, queued: Queued, sent: bytes, wanted: int
) -> None:
    queued.start()
    with queued.connect() as connection:
        connection.sendall(sent)
        assert code(answer(connection)) == wanted
    until(lambda: not post.files())


def test_bounds_on_bytes_and_recipients_are_kept(post: Post, queued: Queued) -> None:
    queued.start("-s", "100000", "-r", "3")
    with queued.connect() as connection:
        connection.sendall(wire(b"", b"x" * 60000, b"x" * 60000))
        assert code(answer(connection)) == codes.REJECTED
    with queued.connect() as connection:
        connection.sendall(wire(b"", b"x", b"", b"Fa\0Tb\0Tc\0Td\0Te\0", b""))
        assert code(answer(connection)) == codes.REJECTED
    with queued.connect() as connection:
        connection.sendall(wire(b"", b"x" * 60000, b"", b"Fa\0Tb\0Tc\0Td\0", b""))
        assert code(answer(connection)) == 0
    assert len(post.files("todo")) == 1


def test_a_client_is_told_why_while_it_still_sends(post: Post, queued: Queued) -> None:
    queued.start("-s", "1000")
    client = queued.client()

    def send() -> None:
        for _ in range(1000):
            client.write(b"x" * 65536)
        client.address(ENVELOPE)
        client.commit()

    with pytest.raises(SubmitError) as caught:
        send()
    assert str(caught.value) == "Dmail server permanently rejected message (#5.3.0)"
    until(lambda: not post.files())


def test_many_clients_at_once_are_all_served_and_share_syncs(post: Post, queued: Queued) -> None:
    queued.start()
    clients = [queued.client() for _ in range(50)]
    for client in clients:
        client.write(MESSAGE)
    connections = [client._socket for client in clients]
    for client in clients:
        client.address(ENVELOPE)
        client.end()
    assert [code(answer(connection)) for connection in connections] == [0] * 50
    for client in clients:
        client.abandon()
    assert len(post.files("todo")) == 50
    until(lambda: not post.files("pid"))


def test_term_lets_a_message_that_is_coming_end(post: Post, queued: Queued) -> None:
    process = queued.start()
    client = queued.client()
    client.write(b"x" * 70_000)
    until(lambda: post.files("mess"))
    process.terminate()
    client.write(MESSAGE)
    client.address(ENVELOPE)
    assert client.commit() == os.getpid()
    assert process.wait(DEADLINE) == 0
    assert len(post.files("todo")) == 1


def test_a_client_waits_for_a_server_that_is_restarted_if_its_socket_is_kept(post: Post, queued: Queued) -> None:
    with socket.socket(socket.AF_UNIX) as keeper:
        keeper.bind(str(post.home / "queue" / "socket"))
        keeper.listen(10)
        client = queued.client()
        client.write(MESSAGE)
        client.address(ENVELOPE)
        # Descriptor 3 with the name "queue", as a supervisor that kept it would give it.
        queued.process = post.processes.start(
            ["sh", "-c", f"exec 3<&0 < /dev/null; exec {ours('qmail-queued')}"],
            env=post.env({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "queue"}),
            stdin=keeper.fileno(),
        )
        assert client.commit() == os.getpid()
    assert len(post.files("todo")) == 1


def test_the_socket_is_given_to_the_supervisor_to_keep(post: Post, queued: Queued) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(post.folder / "notify"))
        supervisor.settimeout(DEADLINE)
        queued.start(env={"NOTIFY_SOCKET": str(post.folder / "notify")})
        data, ancillary, _, _ = supervisor.recvmsg(1000, socket.CMSG_SPACE(4))
    assert data.split(b"\n") == [b"FDSTORE=1", b"FDNAME=queue"]
    (descriptor,) = array.array("i", ancillary[0][2])
    with socket.socket(fileno=descriptor) as kept:
        assert kept.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


def test_a_kept_socket_that_has_lost_its_name_is_given_up(post: Post, queued: Queued) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor, socket.socket(socket.AF_UNIX) as keeper:
        keeper.bind(str(post.home / "queue" / "elsewhere"))
        keeper.listen(10)
        supervisor.bind(str(post.folder / "notify"))
        supervisor.settimeout(DEADLINE)
        kept = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "queue"}
        queued.process = post.processes.start(
            ["sh", "-c", f"exec 3<&0 < /dev/null; exec {ours('qmail-queued')}"],
            env=post.env({"NOTIFY_SOCKET": str(post.folder / "notify"), **kept}),
            stdin=keeper.fileno(),
        )
        assert supervisor.recv(1000) == b"FDSTOREREMOVE=1\nFDNAME=queue"
        assert supervisor.recv(1000) == b"FDSTORE=1\nFDNAME=queue"


def test_a_socket_that_a_killed_server_left_is_replaced(post: Post, queued: Queued) -> None:
    process = queued.start()
    process.kill()
    process.wait()
    queued.start()
    client = queued.client()
    client.address(ENVELOPE)
    client.commit()
    assert (post.home / "queue" / "socket").stat().st_mode & 0o777 == 0o666


def test_a_second_server_does_not_take_a_living_ones_socket(post: Post, queued: Queued) -> None:
    queued.start()
    second = post.processes.start([ours("qmail-queued")], env=post.env())
    _, said = second.communicate(timeout=DEADLINE)
    assert second.returncode == 111
    assert said.startswith(b"qmail-queued: fatal: unable to listen at ")
    assert queued.answers()


def test_a_server_that_is_ending_makes_way_for_its_successor(post: Post, queued: Queued) -> None:
    ending = queued.start()
    client = queued.client()
    client.write(b"x" * 70_000)
    until(lambda: post.files("mess"))
    ending.terminate()
    until(lambda: not queued.listens(), what="the ending server listens no more")
    queued.start()
    client.address(ENVELOPE)
    assert client.commit() == os.getpid()
    assert ending.wait(DEADLINE) == 0
    another = queued.client()
    another.address(ENVELOPE)
    assert another.commit() == os.getpid()
    assert len(post.files("todo")) == 2


def test_without_a_server_a_client_gives_up_in_time(post: Post) -> None:
    with pytest.raises(SubmitError) as caught:
        ViaSocket(os.fsencode(post.home), None, 0.2)
    assert caught.value.code == codes.NOT_CONNECTED


@pytest.mark.parametrize("words", [["-c"], ["-c", "x"], ["-s", "0"], ["-q"], ["word"]])
def test_bad_options_are_a_usage_error(post: Post, words: Sequence[str]) -> None:
    done = subprocess.run(
        [ours("qmail-queued"), *words], env=environment(post.env()), capture_output=True, check=False, timeout=DEADLINE
    )
    assert done.returncode == 100
    assert b"qmail-queued: usage: " in done.stderr


# -------------------------------------------------------------------------------------------------- other people's mail


def as_nobody(action: Callable[[], int]) -> int:
    """Do something as a user without rights, in a child: its exit code."""
    submit.preload()
    pid = os.fork()
    if not pid:
        result = 99
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            result = action()
        finally:
            os._exit(result)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def submission(post: Post, origin: bytes | None) -> Callable[[], int]:
    environ = {os.fsencode(name): os.fsencode(value) for name, value in environment(post.env()).items()}
    # Our launcher may be out of a stranger's reach. A qmail-queue that is not on PATH at all is not a foreign one.
    environ[b"PATH"] = b"/nonexistent"

    def submit_one() -> int:
        one = submit.begin(environ, origin)
        one.write(MESSAGE)
        try:
            one.finish(b"a@b", [b"c@d"])
        except SubmitError as error:
            return error.code
        return 0

    return submit_one


@pytest.mark.root
def test_a_stranger_submits_and_the_kernel_says_who_he_is(post: Post, queued: Queued) -> None:
    queued.start()
    assert as_nobody(submission(post, b"network")) == 0
    assert todo(post).startswith(b"u%d\0" % NOBODY)
    # What he says of himself counts for nothing.
    assert b" invoked by uid 65534); " in mess(post)
    (name,) = post.files("mess")
    assert (post.home / "queue" / name).stat().st_uid == 0


@pytest.mark.root
def test_a_stranger_is_held_to_his_rate_and_root_is_not(post: Post, queued: Queued) -> None:
    queued.start("-m", "2")
    assert [as_nobody(submission(post, None)) for _ in range(4)] == [0, 0, codes.REFUSED_NOW, codes.REFUSED_NOW]
    for _ in range(4):
        client = queued.client()
        client.address(ENVELOPE)
        client.commit()
    assert len(post.files("todo")) == 6


@pytest.mark.root
def test_a_stranger_holds_no_more_connections_than_his(post: Post, queued: Queued) -> None:
    queued.start("-u", "2")
    path = str(post.home / "queue" / "socket")

    def crowd() -> int:
        held = []
        for _ in range(3):
            one = socket.socket(socket.AF_UNIX)
            one.settimeout(DEADLINE)
            one.connect(path)
            held.append(one)
        return code(answer(held[2]))

    assert as_nobody(crowd) == codes.REFUSED_NOW


@pytest.mark.root
def test_a_stranger_reaches_the_socket_and_nothing_else_of_the_queue(post: Post) -> None:
    assert post.queue(["c@d"]).code == 0
    queue = Path(post.home) / "queue"

    def look() -> int:
        for name in ("", "mess", "todo", "intd", "pid", "info", "local", "remote", "bounce", "lock"):
            try:
                os.listdir(queue / name)
            except PermissionError:
                continue
            return 1
        return 0

    assert as_nobody(look) == 0
