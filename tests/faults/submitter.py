"""Hands the message on standard input to a qmail-queued: `submitter.py HOME SENDER RECIPIENT`.

Says "sent" when all of it is on its way, waits for the answer, and exits with qmail-queue's code.
"""

from __future__ import annotations

import os
import socket
import sys

from svtree.formats import netstring


def main(home: str, sender: str, recipient: str) -> int:
    records = b"F%s\0T%s\0" % (os.fsencode(sender), os.fsencode(recipient))
    os.chdir(f"{home}/queue")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("socket")
        pieces = (b"network", sys.stdin.buffer.read(), b"", records, b"")
        connection.sendall(b"".join(map(netstring.encode, pieces)))
        os.write(1, b"sent\n")
        answer = b""
        while block := connection.recv(64):
            answer += block
    (told,) = netstring.Decoder(64).feed(answer)
    return int(told.split()[0])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
