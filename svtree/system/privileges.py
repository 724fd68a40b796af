"""Who a process runs as: finding an account, and becoming it for good.

Follows daemontools 0.76 prot.c: the supplementary groups become the account's one group, so that nothing of root's
is left. There is no way back, which is the point; a caller that must go on as root does it in a child.
"""

from __future__ import annotations

import os

from svtree.formats.record import record


@record
class Account:
    """A line of the account database, as far as it says who to be and where."""

    name: bytes
    uid: int
    gid: int
    home: bytes
    shell: bytes


def account(name: bytes) -> Account | None:
    """The account called `name`, or None. Numbers are not names, as getpwnam has it."""
    import pwd

    try:
        entry = pwd.getpwnam(os.fsdecode(name))
    except (KeyError, ValueError):
        return None
    return Account(name, entry.pw_uid, entry.pw_gid, os.fsencode(entry.pw_dir), os.fsencode(entry.pw_shell))


def become_group(gid: int) -> None:
    """Be in this group and in no other, for good; OSError where that is not allowed."""
    os.setgroups([gid])
    os.setgid(gid)


def become_user(uid: int) -> None:
    """Be this user, for good; OSError where that is not allowed. Groups are to be changed before."""
    os.setuid(uid)


def become(gid: int, uid: int) -> None:
    """Be this group and user, for good; OSError where that is not allowed."""
    become_group(gid)
    become_user(uid)
