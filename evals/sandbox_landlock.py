"""Landlock: a process gives up files and connections for itself, with no privileges at all.

Where namespaces are refused (inside most containers) this is what keeps tested code from the user's files: only
the libraries can be read, only the private folder written. It also stops tracing and signalling of processes
outside. What it can hold grows with the kernel; the version is asked for and the rules are cut to it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from evals.sandbox_kernel import call

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every processor
ASK_VERSION, PATH_BENEATH = 1, 1
READ = (
    1 << 0 | 1 << 2 | 1 << 3
)  # execute (libraries are mapped by reading), read a file, list a folder
DEVICE = 1 << 1 | 1 << 2
RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights over files each version knows: moving between folders came second, truncating third."""
TCP_BIND_AND_CONNECT = 3
NO_OUTSIDE_SOCKETS, NO_OUTSIDE_SIGNALS = 1, 2


def landlock_version() -> int:
    """What the kernel offers; raises `OSError` where it offers nothing."""
    return call("syscall", CREATE_RULESET, None, 0, ASK_VERSION)


def give_up_files(readable: list[str], writable: list[str], may_signal: bool) -> None:
    """Keep only these folders; give up TCP, and signals to processes outside where the kernel can.

    Needs `forbid_new_privileges` before it."""
    version = landlock_version()
    every_right = (1 << RIGHTS_BY_VERSION[min(version, 5)]) - 1
    network = TCP_BIND_AND_CONNECT if version >= 4 else 0
    scope = NO_OUTSIDE_SOCKETS | (0 if may_signal else NO_OUTSIDE_SIGNALS)
    size = 8 if version < 4 else 16 if version < 6 else 24  # bytes of the structure it knows
    rules = struct.pack("=QQQ", every_right, network, scope)[:size]
    ruleset = call("syscall", CREATE_RULESET, rules, ctypes.c_size_t(size), 0)
    try:
        for path in readable:
            allow(ruleset, path, (READ if os.path.isdir(path) else DEVICE) & every_right)
        for path in writable:
            allow(ruleset, path, every_right & ~1)
        call("syscall", RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def allow(ruleset: int, path: str, rights: int) -> None:
    """Add one path with all that lies beneath it; a missing one is no error."""
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES):
            return
        raise
    try:
        rule = struct.pack("=Qi", rights, folder)
        call("syscall", ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
    finally:
        os.close(folder)
