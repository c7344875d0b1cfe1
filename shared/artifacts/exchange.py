"""Swap two files or folders in one step, so that a reader always finds one of them at each path."""

import ctypes
import errno
import os
from pathlib import Path

AT_FDCWD = -100  # relative paths start at the working directory
RENAME_EXCHANGE = 2  # <linux/fs.h>
# What says that this kernel, this file system or a container's seccomp profile doesn't offer the call.
NOT_OFFERED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM}


def exchange(one: Path, other: Path) -> bool:
    """Swap two paths on one file system atomically. False where the system doesn't offer it: nothing has changed.

    OSError for everything else, such as a path that is missing.
    """
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:  # another system than Linux, or a C library without it
        return False
    arguments = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    call.argtypes, call.restype = arguments, ctypes.c_int
    if call(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in NOT_OFFERED:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))
