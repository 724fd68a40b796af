"""Mail readers that know no Maildir: maildir2mbox first, then the reader. Follows pinq.sh, elq.sh and qail.sh."""

from __future__ import annotations

from svtree.mail.beside import find
from svtree.mail.delivery.command import CrashedError, run
from svtree.program import Chain, Fatal
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ


def then(reader: bytes, arguments: Sequence[bytes], environ: Environ) -> int | Chain:
    """Run maildir2mbox; the reader is next, or an exit code that is not 0. Raises Fatal."""
    try:
        code = run([find(b"maildir2mbox", environ)], environ)
    except CrashedError as error:
        raise Fatal("maildir2mbox crashed") from error
    except OSError as error:
        raise Fatal(f"unable to run maildir2mbox: {reason(error)}") from error
    return code or Chain((reader, *arguments), environ)
