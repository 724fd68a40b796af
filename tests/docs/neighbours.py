"""The name server of a machine of one's own: every name is that machine, and 192.0.2.66 is on a black list."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.tcp.nameserver import Zone, nameserver

LISTED = "66.2.0.192.bl.example.org"


class Everywhere(dict[str, list[str]]):
    """Any name is at 127.0.0.1, but for those of the black list."""

    def get(self, name: str, _: object = None) -> list[str]:
        """The addresses of `name`."""
        if name == LISTED:
            return ["127.0.0.2"]
        return [] if name.endswith(".bl.example.org") else ["127.0.0.1"]


def main() -> None:
    """Serve until the machine ends, once /etc/resolv.conf says where."""
    names = {"1.0.0.127.in-addr.arpa": "mail.example.com"}
    zone = Zone(addresses=Everywhere(), names=names, texts={LISTED: [b"no dial-ups, please"]})
    with nameserver(zone, 53) as running:
        Path("/etc/resolv.conf").write_text(f"nameserver {running.ip}\n")
        Path("/run/names").touch()
        signal.pause()


if __name__ == "__main__":
    main()
