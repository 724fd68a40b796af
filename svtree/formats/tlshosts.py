"""control/tlshosts: whether mail for a host goes through TLS.

Lines DOMAIN:POLICY, or DOMAIN:verify:NAME. DOMAIN is as in control/smtproutes: a host, `.suffix` for every host below
it, or empty for all; the longest that fits counts, of two lines for the same the last. POLICY is

- `may`: TLS where it is offered, whatever the certificate, and without where that fails: what holds without a line;
- `must`: TLS, whatever the certificate, or the mail waits;
- `verify`: TLS with a certificate for NAME, by default for DOMAIN, that an authority known here has signed;
- `never`: no TLS.
"""

from __future__ import annotations

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAY = b"may"
MUST = b"must"
VERIFY = b"verify"
NEVER = b"never"


class TlsHostsError(ValueError):
    """A line says nothing that can be followed: it must not turn into mail in the clear."""


@record
class Policy:
    """What is wanted, and for `verify` the name in the certificate; empty: the host that the mail is for."""

    wanted: bytes = MAY
    name: bytes = b""


def parse(lines: Iterable[bytes]) -> dict[bytes, Policy]:
    """The policies by domain, in small letters. Raises TlsHostsError."""
    found = {}
    for line in lines:
        domain, _, rest = line.lower().partition(b":")
        wanted, _, name = rest.partition(b":")
        if wanted not in (MAY, MUST, VERIFY, NEVER) or (name and wanted != VERIFY):
            raise TlsHostsError(f"{line.decode('ascii', 'replace')}: not DOMAIN:may|must|verify[:NAME]|never")
        found[domain] = Policy(wanted, name)
    return found


def find(policies: Mapping[bytes, Policy], host: bytes) -> Policy:
    """The policy for mail to `host`."""
    small = host.lower()
    for at in range(len(small) + 1):
        if at in (0, len(small)) or small[at] == 46:
            policy = policies.get(small[at:])
            if policy is not None:
                return policy
    return Policy()
