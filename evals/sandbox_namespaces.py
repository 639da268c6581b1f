"""Namespaces: a process that sees no other process, no network and no file but Python's own library.

    root:  unshare(mount, pid, network, …) → new root → user "nobody" → unshare(user)
    user:  unshare(user, mount, pid, network, …) → new root

The new root is a small memory file system that holds the folders of libraries, bound read-only, and one empty,
bounded folder to write in. `/proc` is not in it: nothing can be read about other processes. Both orders end
alike, without capabilities (`sandbox_kernel.drop_capabilities`). Each wall that the kernel refuses is named with its
reason in the returned table, and the others are still built.
"""

from __future__ import annotations

import os
import sys
import sysconfig

from evals.sandbox_kernel import call, show_memory

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
SEPARATE = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT = 1, 2, 4, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
LOCKED_FLAGS = 2 | 4 | 8 | 1024 | 2048
"""nosuid, nodev, noexec, noatime, nodiratime: a remount in a user namespace must repeat those that are set."""

NOBODY = 65534
SCRATCH = "/scratch"
"""The only folder in the new root that can be written."""
DEVICES = ("/dev/null", "/dev/urandom")
ROOT_BYTES = 1 << 20
OFTEN_IMPORTED = (
    *("typing", "math", "collections", "itertools", "functools", "re", "string", "random", "copy"),
    *("heapq", "bisect", "operator", "datetime", "decimal", "fractions", "statistics", "hashlib"),
    *("json", "enum", "dataclasses", "socket", "subprocess", "threading"),
)
"""Loaded before root becomes nobody where the new root is refused: nobody may not be able to read the library."""

Walls = dict[str, str]
"""Wall → "" where it stands, else why it does not."""


def library_folders() -> list[str]:
    """What Python needs to import its standard library; nothing else of the disk is shown."""
    wanted = [
        os.path.join(sys.base_prefix, "lib"),
        os.path.dirname(sysconfig.get_path("stdlib")),
        os.path.dirname(sysconfig.get_path("platstdlib")),
        *("/usr/lib", "/usr/lib64", "/lib", "/lib64"),
    ]
    folders: list[str] = []
    for folder in map(os.path.realpath, wanted):
        if os.path.isdir(folder) and not any(inside(folder, other) for other in folders):
            folders.append(folder)
    return folders


def inside(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def separate(private: str, disk_bytes: int, without: list[str]) -> Walls:
    """Leave the machine's namespaces. `private` is an empty folder, the mount point of the new root.

    The process id namespace begins with the next fork."""
    walls: Walls = {}
    is_root = os.geteuid() == 0 and "root" not in without
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY) if os.path.isdir("/proc") else -1
    if "namespaces" in without:
        walls["namespaces"] = "left out"
    elif not is_root:
        attempt(walls, "namespaces", lambda: enter_user_namespace(proc, SEPARATE))
    else:
        attempt(walls, "namespaces", lambda: call("unshare", SEPARATE))
    if walls["namespaces"]:
        walls["files hidden"] = walls["namespaces"]
    else:
        attempt(walls, "files hidden", lambda: build_root(private, disk_bytes))
    if is_root:
        hand_over(private, walls)
        if "namespaces" in without:
            walls["user namespace"] = "left out"
        else:
            attempt(walls, "user namespace", lambda: enter_user_namespace(proc, 0))
    else:
        walls["user namespace"] = walls["namespaces"]
    if proc >= 0:
        os.close(proc)
    return walls


def attempt(walls: Walls, name: str, build: object) -> None:
    """Build a wall; what the kernel answers is kept where it refuses."""
    try:
        build()  # type: ignore[operator]
        walls[name] = ""
    except OSError as error:
        walls[name] = str(error)


def enter_user_namespace(proc: int, others: int) -> None:
    """Own user id outside, nobody inside; together with the namespaces that it gives the right to.

    `/proc` comes as an open folder because the new root may not show it any more."""
    user, group = os.geteuid(), os.getegid()
    call("unshare", CLONE_NEWUSER | others)
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{NOBODY} {user} 1"),
        ("gid_map", f"{NOBODY} {group} 1"),
    ):
        file = os.open(f"self/{name}", os.O_WRONLY, dir_fd=proc)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)


def hand_over(private: str, walls: Walls) -> None:
    """Root becomes nobody, who owns the folder to write in and nothing else."""
    scratch = private if walls["files hidden"] else SCRATCH
    for name in OFTEN_IMPORTED if walls["files hidden"] else ():
        __import__(name)
    os.chown(scratch, NOBODY, NOBODY)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    attempt(walls, "memory shown", show_memory)


def build_root(private: str, disk_bytes: int) -> None:
    """A new file system root in memory: libraries read-only, one folder to write in."""
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount("tmpfs", private, "tmpfs", MS_NOSUID | MS_NODEV, f"mode=0755,size={ROOT_BYTES}")
    for folder in library_folders():
        bind_read_only(folder, private + folder)
    for folder in ("/lib", "/lib64"):  # links into /usr on most systems
        if os.path.islink(folder):
            os.symlink(os.readlink(folder), private + folder)
    for device in filter(os.path.exists, DEVICES):
        os.makedirs(private + "/dev", exist_ok=True)
        os.close(os.open(private + device, os.O_CREAT | os.O_WRONLY, 0o644))
        mount(device, private + device, "", MS_BIND)
    os.mkdir(private + SCRATCH)
    size = f"mode=0700,size={disk_bytes},nr_inodes=4096"
    mount("tmpfs", private + SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV, size)
    mount("none", private, "", MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)
    os.chdir(private)
    pivot_root()
    os.chdir("/")


def bind_read_only(folder: str, target: str) -> None:
    """Show a folder at another place where nobody can write to it."""
    os.makedirs(target, exist_ok=True)
    mount(folder, target, "", MS_BIND | MS_REC)
    kept = os.statvfs(target).f_flag & LOCKED_FLAGS
    mount("none", target, "", MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | kept)


def pivot_root() -> None:
    """The current folder becomes the root; the old one is taken off, and cannot be reached again.

    libc has no function of this name on every system, so the call goes by its number."""
    number = {"x86_64": 155, "aarch64": 41}.get(os.uname().machine)
    if number is None:
        raise OSError(38, "the number of pivot_root is not known for this processor")
    call("syscall", number, b".", b".")
    call("umount2", b".", MNT_DETACH)


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2) with text arguments."""
    texts = [text.encode() for text in (source, target, kind, options)]
    call("mount", texts[0], texts[1], texts[2] or None, flags, texts[3] or None)
