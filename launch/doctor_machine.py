"""Is this machine fit to work on: versions, processor cores, memory, disk, open files.

Every figure is read where a container's own limit stands too: the numbers of the host mislead there.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from launch.doctor_finding import GIB, Finding, error, ok, plural, size, warn

PROJECT = "critique-guided-distillation"
PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
SHOWN = ("torch", "transformers", "safetensors", "datasets")

LITTLE_MEMORY = 4 * GIB
LITTLE_DISK = 2 * GIB
LITTLE_SHARED_MEMORY = GIB
"""NCCL and vLLM pass tensors between processes in /dev/shm; a container's default is 64 MiB."""
FEW_FILES = 4096

CGROUP = Path("/sys/fs/cgroup")


def machine_findings() -> Iterator[Finding]:
    """All of this file, the most important first."""
    yield python_version()
    yield from libraries()
    yield cores()
    yield memory()
    yield shared_memory()
    yield open_files()


# ---- versions ---------------------------------------------------------------------------------------


def python_version() -> Finding:
    """Python itself."""
    here = platform.python_version()
    wanted = requires_python()
    if sys.version_info < tuple(map(int, wanted.lstrip(">=").split("."))):
        return error("Python", f"{here}, but {wanted} is asked for", "make a newer environment")
    return ok("Python", f"{here} ({sys.executable})")


def libraries() -> Iterator[Finding]:
    """Every library that the project asks for, in a version that it takes."""
    wanted = requirements()
    missing = [r for r in wanted if installed(r.name) is None]
    wrong = [
        r
        for r in wanted
        if r not in missing and not r.specifier.contains(installed(r.name) or "", prereleases=True)
    ]
    for one in missing:
        yield error(one.name, "not installed", f"pip install '{one}'")
    for one in wrong:
        detail = f"{installed(one.name)} is here, but {one.specifier} is asked for"
        yield error(one.name, detail, f"pip install '{one}'")
    found = [f"{name} {version}" for name in SHOWN if (version := installed(name))]
    if not missing and not wrong:
        yield ok("libraries", ", ".join(found))


def project_table() -> dict[str, object]:
    """The project's own description in a checkout; empty where it was installed without one."""
    try:
        table: dict[str, object] = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return {}
    return table if table.get("name") == PROJECT else {}


def requires_python() -> str:
    """As `>=3.11`."""
    own = project_table().get("requires-python")
    return str(own or metadata.metadata(PROJECT)["Requires-Python"])


def requirements() -> list[Requirement]:
    """What has to be installed, extras left out."""
    own = project_table().get("dependencies")
    texts = own if isinstance(own, list) else metadata.requires(PROJECT) or []
    wanted = [Requirement(str(text)) for text in texts]
    return [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]


def installed(distribution: str) -> str | None:
    """The version that is here."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


# ---- processor and memory ---------------------------------------------------------------------------


def cores() -> Finding:
    """Cores that this process may use, and whether its threads know of them."""
    import torch  # heavy

    visible = len(os.sched_getaffinity(0))
    granted = cgroup_cores()
    usable = visible if granted is None else min(visible, granted)
    threads, said = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    setting = f"OMP_NUM_THREADS={said}" if said else "OMP_NUM_THREADS not set"
    detail = f"{usable:g} cores, torch computes with {plural(threads, 'thread')} ({setting})"
    if threads > usable + 0.5:
        few = max(1, int(usable))
        why = f"{detail}: more threads than cores only wait for each other"
        return warn("processor", why, f"export OMP_NUM_THREADS={few}")
    return ok("processor", detail)


def cgroup_cores() -> float | None:
    """A container's share of the processor; None where it has no limit."""
    quota, _, period = read_cgroup("cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def memory() -> Finding:
    """Memory of the host that is free, or that the container may still take."""
    total, free = memory_bytes()
    detail = f"{size(free)} of {size(total)} are free"
    if free < LITTLE_MEMORY:
        return warn("memory", detail, "end other programs; `cgd plan CONFIG` says what is needed")
    return ok("memory", detail)


def memory_bytes() -> tuple[int, int]:
    """(total, free) of the machine, or of the container where that is less."""
    page = os.sysconf("SC_PAGE_SIZE")
    total, free = page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")
    try:  # what the kernel would give, caches included
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        pass
    limit, used = read_cgroup("memory.max"), read_cgroup("memory.current")
    if limit.isdigit() and used.isdigit() and int(limit) < total:
        total, free = int(limit), min(free, max(0, int(limit) - int(used)))
    return total, free


def read_cgroup(name: str) -> str:
    """A limit of this container; empty where there is none."""
    try:
        return (CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def shared_memory() -> Finding:
    """/dev/shm, through which processes of one machine pass tensors."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return warn("/dev/shm", "there is none; several GPUs and vLLM need it")
    free = shutil.disk_usage(folder).free
    detail = f"{size(free)} are free"
    if free < LITTLE_SHARED_MEMORY:
        return warn(
            "/dev/shm",
            f"{detail}: too little for several GPUs, and for vLLM",
            "docker run --shm-size=16g … (or --ipc=host)",
        )
    return ok("/dev/shm", detail)


def open_files() -> Finding:
    """How many files and connections a process may have open. The soft limit is raised where it is needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FEW_FILES:
        return warn(
            "open files", f"at most {hard}", f"ulimit -n {FEW_FILES}, as root or in limits.conf"
        )
    most = "no limit" if hard == resource.RLIM_INFINITY else f"{hard:,} at most"
    return ok("open files", f"{soft:,}, {most} (ulimit -n)")


# ---- disk -------------------------------------------------------------------------------------------


def disk(what: str, folder: Path, needed: int = 0, remedy: str = "") -> Finding:
    """The space left where a folder is or will be. `needed`: bytes that are going to be written there."""
    place = existing_parent(folder)
    free = shutil.disk_usage(place).free
    if not os.access(place, os.W_OK):
        return error(what, f"{place} cannot be written to", remedy or "name another folder")
    detail = f"{size(free)} are free at {place}"
    if needed:
        detail += f"; about {size(needed)} will be written"
    if free < needed:
        return error(what, detail, remedy)
    if free - needed < LITTLE_DISK:
        return warn(what, detail, remedy or "make room before a long run")
    return ok(what, detail)


def existing_parent(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.expanduser().absolute()
    return next(place for place in (folder, *folder.parents) if place.exists())
