"""What the sandbox asks of the Linux kernel through libc, one plain function per request.

    call → drop_capabilities, forbid_new_privileges, die_with_parent, hide_memory, lower_limits

Python 3.11 has no `os.unshare` and no `prctl`, so they are called by ctypes. A request that fails raises
`OSError`; where libc does not know the name (another system than Linux) it is `ENOSYS`. This file, like all of the
sandbox's inner side, imports little: it is loaded anew for every program.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import sys

LIBC = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CAPABILITY_VERSION_3 = 0x20080522
SIGKILL = 9


def call(name: str, *arguments: object) -> int:
    """Call a libc function; a negative result is raised as the `OSError` it stands for."""
    function = getattr(LIBC, name, None) if sys.platform == "linux" else None
    if function is None:
        raise OSError(errno.ENOSYS, f"this system has no {name}")
    result = int(function(*[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def prctl(option: int, value: object, third: object = 0) -> None:
    """Change a property of this process. The zeros are not optional: the kernel checks them."""
    call("prctl", option, value, third, 0, 0)


def forbid_new_privileges() -> None:
    """From now on no program that is started can gain rights (set-uid files do nothing)."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent() -> None:
    """Ask for SIGKILL when the parent ends. Changing the user id afterwards would undo it."""
    prctl(PR_SET_PDEATHSIG, SIGKILL)


def hide_memory() -> None:
    """Close this process's memory and open files to others of the same user (/proc, ptrace)."""
    prctl(PR_SET_DUMPABLE, 0)


def show_memory() -> None:
    """Undo what a change of user id did: /proc/self must be ours to write the id maps."""
    prctl(PR_SET_DUMPABLE, 1)


def drop_capabilities() -> None:
    """Give up every capability; what a new user namespace grants is needed for building only."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    call("capset", ctypes.byref(header), ctypes.byref(nothing))


def lower_limits(limits: dict[str, int]) -> list[str]:
    """Set the named RLIMIT_* to these values, soft and hard alike; those refused are returned."""
    refused = []
    for name, value in limits.items():
        kind = getattr(resource, name, None)
        if kind is None:
            refused.append(name)
            continue
        hard = resource.getrlimit(kind)[1]
        lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (lowest, lowest))
        except (OSError, ValueError):
            refused.append(name)
    return refused


def num_tasks_of_user() -> int:
    """Threads that this user runs now. RLIMIT_NPROC counts them all where no user namespace does."""
    num_tasks = 0
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == os.getuid():
                num_tasks += len(os.listdir(f"/proc/{name}/task"))
        except OSError:  # it ended meanwhile
            continue
    return num_tasks
