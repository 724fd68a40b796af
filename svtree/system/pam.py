"""Asking PAM whether a password is right: pam_start(3), pam_authenticate(3), pam_acct_mgmt(3), through ctypes.

One question, one answer: each prompt that does not echo is answered with the password, each that does with the name.
No session is opened and no credentials are set, since nobody logs in to the machine.
"""

from __future__ import annotations

import ctypes
import os

LIBRARY = "libpam.so.0"
SUCCESS = 0
CONVERSATION_ERROR = 19
# What means "not with this password" rather than "not now": pam_constants of Linux-PAM.
REFUSED = frozenset({6, 7, 8, 10, 11, 12, 13})
ECHO_OFF, ECHO_ON = 1, 2
# PAM passes no more messages at once (PAM_MAX_NUM_MSG).
MOST = 32


class PamError(Exception):
    """PAM cannot be asked, or cannot tell; the text says why."""


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    # The text is freed by PAM, so it must be malloc's: as a number, lest ctypes make a bytes object of it.
    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


_CONVERSE = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.POINTER(_Response)),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = (("function", _CONVERSE), ("data", ctypes.c_void_p))


def opens(service: bytes, name: bytes, password: bytes, folder: bytes | None = None) -> bool:
    """Whether `password` is that of the account `name`, and the account may be used, as `service` has it.

    `folder` takes the place of /etc/pam.d. Raises PamError.
    """
    if any(b"\0" in each for each in (service, name, password)):
        return False
    library = _library()
    libc = ctypes.CDLL(None)
    libc.calloc.restype = ctypes.c_void_p
    libc.calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
    libc.strdup.restype = ctypes.c_void_p
    libc.strdup.argtypes = [ctypes.c_char_p]

    def converse(count: int, messages: object, responses: object, _data: object) -> int:
        # Both are pointers to pointers; ctypes gives them no type that a checker knows.
        if not 0 < count <= MOST:
            return CONVERSATION_ERROR
        place = libc.calloc(count, ctypes.sizeof(_Response))
        if not place:
            return CONVERSATION_ERROR
        answers = (_Response * count).from_address(place)
        for number in range(count):
            style = messages[number].contents.style  # type: ignore[index] # as above
            if style in (ECHO_OFF, ECHO_ON):
                answers[number].text = libc.strdup(password if style == ECHO_OFF else name)
        responses[0] = ctypes.cast(place, ctypes.POINTER(_Response))  # type: ignore[index] # as above
        return SUCCESS

    # Held here as long as PAM may call it.
    conversation = _Conversation(_CONVERSE(converse), None)
    handle = ctypes.c_void_p()
    if folder is None:
        code = library.pam_start(service, name, ctypes.byref(conversation), ctypes.byref(handle))
    else:
        code = library.pam_start_confdir(service, name, ctypes.byref(conversation), folder, ctypes.byref(handle))
    if code != SUCCESS:
        raise PamError(f"unable to begin with PAM service {os.fsdecode(service)}: error {code}")
    try:
        code = library.pam_authenticate(handle, 0)
        if code == SUCCESS:
            code = library.pam_acct_mgmt(handle, 0)
        if code != SUCCESS and code not in REFUSED:
            said: bytes = library.pam_strerror(handle, code) or b""
            raise PamError(f"PAM service {os.fsdecode(service)}: {said.decode('utf-8', 'replace')}")
        return bool(code == SUCCESS)
    finally:
        library.pam_end(handle, code)


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise PamError(f"{LIBRARY} is not installed") from error
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    library.pam_start.argtypes = [text, text, pointer, pointer]
    if hasattr(library, "pam_start_confdir"):
        library.pam_start_confdir.argtypes = [text, text, pointer, text, pointer]
    library.pam_authenticate.argtypes = library.pam_acct_mgmt.argtypes = library.pam_end.argtypes = [
        pointer,
        ctypes.c_int,
    ]
    library.pam_strerror.argtypes = [pointer, ctypes.c_int]
    library.pam_strerror.restype = text
    return library
