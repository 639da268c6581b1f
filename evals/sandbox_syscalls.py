"""The system call filter: what tested code has no use for is answered with "operation not permitted".

A program that computes an answer starts no process and opens no socket. So the filter refuses new processes
(threads may start), other programs, sockets, signals to anyone else, tracing, namespaces and memory that no limit
counts. It needs no privileges and holds where namespaces are not allowed. It is a seccomp program: a list of
instructions that the kernel runs at every system call and that can never be taken off again.

Numbers are those of the kernel's tables for the two processors listed; elsewhere there is no filter, and
`sandbox.describe_protection` says so.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from evals.sandbox_kernel import prctl

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""How the kernel names the processor to the filter; other calling conventions are refused whole."""

NUMBERS: dict[str, tuple[int | None, int | None]] = {  # x86_64, aarch64
    "socket": (41, 198),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
}
CLONE, CLONE3, KILL, TGKILL = (56, 220), (435, 435), (62, 129), (234, 131)
PRCTL, FCNTL, PRLIMIT = (157, 167), (72, 25), (302, 261)

LOAD, EQUAL, AT_LEAST, HAS_BIT, ANSWER = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL_PROCESS, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
CLONE_THREAD = 0x00010000
X32_CALLS = 0x40000000
"""Numbers from here on are the x86_64 table again, in another convention: refused, or it were a way round."""
FORBIDDEN_PRCTL = (1, 4)  # outlive the parent; show one's memory
FORBIDDEN_FCNTL = (8, 10, 15)  # have the kernel send signals: F_SETOWN, F_SETSIG, F_SETOWN_EX
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2

Instruction = tuple[int, int, int, int]
"""Operation, instructions to skip if true, if false, operand."""


def refuse(number: int = errno.EPERM) -> Instruction:
    """Answer the call with this error."""
    return (ANSWER, 0, 0, REFUSE | number)


def argument(index: int) -> Instruction:
    """Load the low half of an argument of the call."""
    return (LOAD, 0, 0, 16 + 8 * index)


def when(number: int, body: list[Instruction]) -> list[Instruction]:
    """Do `body`, which ends in an answer, for this system call only."""
    return [(EQUAL, 0, len(body), number), *body]


def unless_equal(index: int, value: int) -> list[Instruction]:
    """Refuse but when the argument has this value."""
    return [argument(index), (EQUAL, 1, 0, value), refuse(), (ANSWER, 0, 0, ALLOW)]


def if_any(index: int, values: tuple[int, ...]) -> list[Instruction]:
    """Refuse when the argument is one of these."""
    tests = [step for value in values for step in ((EQUAL, 0, 1, value), refuse())]
    return [argument(index), *tests, (ANSWER, 0, 0, ALLOW)]


def filter_program(machine: str, own_pid: int) -> list[Instruction]:
    """The whole filter. Signals may go to `own_pid` alone."""
    column = list(ARCHITECTURES).index(machine)
    only_threads = [argument(0), (HAS_BIT, 1, 0, CLONE_THREAD), refuse(), (ANSWER, 0, 0, ALLOW)]
    program: list[Instruction] = [
        (LOAD, 0, 0, 4),
        (EQUAL, 1, 0, ARCHITECTURES[machine]),
        (ANSWER, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, 0),
        (AT_LEAST, 0, 1, X32_CALLS),
        refuse(),
    ]
    for numbers in NUMBERS.values():
        if (number := numbers[column]) is not None:
            program += when(number, [refuse()])
    program += when(CLONE[column], only_threads)
    program += when(CLONE3[column], [refuse(errno.ENOSYS)])  # libc then asks with clone
    program += when(KILL[column], unless_equal(0, own_pid))
    program += when(TGKILL[column], unless_equal(0, own_pid))
    program += when(PRCTL[column], if_any(0, FORBIDDEN_PRCTL))
    program += when(FCNTL[column], if_any(1, FORBIDDEN_FCNTL))
    program += when(PRLIMIT[column], unless_equal(0, 0))
    return [*program, (ANSWER, 0, 0, ALLOW)]


class FilterHeader(ctypes.Structure):
    """struct sock_fprog: how many instructions, and where."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def filter_system_calls(own_pid: int) -> None:
    """Install the filter for good. Needs `forbid_new_privileges` before it."""
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system call table for {machine}")
    steps = filter_program(machine, own_pid)
    packed = b"".join(struct.pack("=HBBI", *step) for step in steps)
    header = FilterHeader(len(steps), packed)
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(header))
