"""Tested code gets nowhere: every way out that we know fails, leaves no trace, and is never counted as passed.

Each attack runs against several sets of walls (`LAYERS`), because machines grant different ones; what protects is said
with each. An attack returns "escaped" when it succeeded. A wall that this kernel refuses is a skip with its reason.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from evals.sandbox import Job, ProgramVerdict, SandboxLimits, run_job

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")

LIMITS = SandboxLimits(cpu_seconds=1, wall_seconds=1.6)
TEST = "def check(candidate):\n    assert candidate() == 'safe'\n"
LAYERS: dict[str, tuple[str, ...]] = {
    "all": (),
    "as a user": ("root",),
    "namespaces alone": ("landlock", "system call filter"),
    "no namespaces": ("root", "namespaces"),
    "filter alone": ("root", "namespaces", "landlock"),
}
FILES_HELD = [name for name in LAYERS if name != "filter alone"]
NOTHING = ("root", "namespaces", "landlock", "system call filter")
FILTER, LANDLOCK, NAMESPACES = "system call filter", "landlock", "namespaces"


def attack(
    body: str,
    layers: str = "all",
    needs: tuple[str, ...] = (),
    limits: SandboxLimits = LIMITS,
    test: str = TEST,
    **facts: object,
) -> ProgramVerdict:
    """Run lines of a function; `needs` are walls of which at least one must stand."""
    constants = "".join(f"{name} = {value!r}\n" for name, value in facts.items())
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    program = f"import os, sys\n{constants}def attempt():\n{lines}\n    return 'escaped'\n"
    verdict = run_job(Job(program, "", test, "attempt"), limits, LAYERS[layers])
    assert verdict.walls or not needs, verdict
    missing = {name: verdict.walls.get(name, "") for name in needs if verdict.walls.get(name, "")}
    if needs and len(missing) == len(needs):
        pytest.skip(f"{verdict.status}; this machine gives no protection here: {missing}")
    return verdict


def alive(marker: str) -> list[str]:
    """Processes whose command line holds the marker."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            if marker in command:
                found.append(folder.name)
    return found


# Processes: the filter lets only threads start; a namespace dies with its first process.


@pytest.mark.parametrize("layers", LAYERS)
def test_a_fork_bomb_ends_with_its_program(layers: str) -> None:
    limits = SandboxLimits(cpu_seconds=1, wall_seconds=2.0103 + len(layers) / 1e6)
    bomb = "while True:\n    try:\n        os.fork()\n    except OSError:\n        raise"
    verdict = attack(bomb, layers, (FILTER, NAMESPACES), limits)
    assert verdict.status in {"refused", "timeout", "error"}, verdict
    assert not alive(str(limits.wall_seconds))


@pytest.mark.parametrize("layers", LAYERS)
def test_a_daemon_does_not_outlive_the_run(layers: str) -> None:
    limits = SandboxLimits(cpu_seconds=1, wall_seconds=2.0207 + len(layers) / 1e6)
    daemon = (
        "import time, signal\n"
        "for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):\n    signal.signal(s, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(60)\n    os._exit(0)"
    )
    verdict = attack(daemon, layers, (FILTER, NAMESPACES), limits)
    assert verdict.status in {"refused", "failed"}
    assert not alive(str(limits.wall_seconds))


@pytest.mark.parametrize("layers", ["all", "no namespaces"])
def test_no_program_is_started(layers: str) -> None:
    shell = "import subprocess\nsubprocess.run([sys.executable, '-c', '1'])"
    assert attack(shell, layers, (FILTER,)).status == "refused"
    assert attack("os.execv('/bin/sh', ['sh'])", layers, (FILTER,)).status == "refused"


def test_threads_are_counted() -> None:
    many = (
        "import threading, time\nn = 0\n"
        "while n < 1000:\n    threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n    n += 1"
    )
    assert attack(many).status == "error"


# Signals: the filter lets them go to the program itself; a namespace shows it nobody else.


@pytest.mark.parametrize("layers", LAYERS)
def test_nobody_else_can_be_killed(layers: str) -> None:
    kill = (
        "hit = []\n"
        "for function in (os.kill, os.killpg):\n"
        "    for pid in (VICTIM, os.getppid() or VICTIM):\n"
        "        try:\n            function(pid, 9)\n            hit.append(pid)\n"
        "        except OSError:\n            pass\n"
        "if not hit:\n    return 'safe'"
    )
    sleep = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(30)"]
    with subprocess.Popen(sleep, start_new_session=True) as victim:
        try:
            verdict = attack(kill, layers, (FILTER, NAMESPACES), VICTIM=victim.pid)
            assert verdict.status == "passed", verdict
            assert victim.poll() is None
        finally:
            victim.kill()


@pytest.mark.parametrize("target", [0, -1])
@pytest.mark.parametrize("layers", ["all", "namespaces alone"])
def test_killing_the_whole_group_reaches_nobody(layers: str, target: int) -> None:
    verdict = attack(f"os.kill({target}, 9)\nreturn 'safe'", layers, (FILTER, NAMESPACES))
    assert verdict.status in {"passed", "refused", "error"}
    assert "gave no verdict" not in verdict.detail, "the judge was hit"


def test_signals_sent_by_the_kernel_on_request_are_refused() -> None:
    owner = "import fcntl\nr, w = os.pipe()\nfcntl.fcntl(r, fcntl.F_SETOWN, PARENT)"
    assert attack(owner, needs=(FILTER,), PARENT=os.getpid()).status == "refused"


@pytest.mark.parametrize("layers", ["all", "no namespaces"])
def test_ignoring_signals_and_alarms_changes_no_deadline(layers: str) -> None:
    deaf = (
        "import signal\n"
        "for s in range(1, 32):\n    try:\n        signal.signal(s, signal.SIG_IGN)\n"
        "    except (OSError, ValueError):\n        pass\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)\nwhile True:\n    pass"
    )
    started = time.monotonic()
    assert attack(deaf, layers).status == "timeout"
    assert time.monotonic() - started < 15


def test_parent_death_cannot_be_switched_off() -> None:
    switch = "import ctypes\nif ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) != 0:\n    return 'safe'"
    assert attack(switch, needs=(FILTER,)).status == "passed"


@pytest.mark.parametrize("layers", LAYERS)
def test_nothing_outlives_an_evaluator_that_is_killed(layers: str, tmp_path: Path) -> None:
    wall_seconds = 40.0301 + len(layers) / 1e6
    evaluator = (
        "from evals.sandbox import Job, SandboxLimits, run_job\n"
        f"limits = SandboxLimits(cpu_seconds=30, wall_seconds={wall_seconds})\n"
        "job = Job('import time\\ndef f(): time.sleep(60)', '', 'def check(c): c()', 'f')\n"
        f"run_job(job, limits, {LAYERS[layers]!r})\n"
    )
    root = Path(__file__).resolve().parents[1]
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # nobody is left to remove the folder
    command = [sys.executable, "-c", evaluator]
    with subprocess.Popen(command, cwd=root, env=environment) as process:
        assert within(20, lambda: len(alive(f'"wall_seconds": {wall_seconds}')) == 2)
        process.kill()
    assert within(5, lambda: not alive(f'"wall_seconds": {wall_seconds}'))


def within(seconds: float, claim: Callable[[], bool]) -> bool:
    """Whether a claim comes true in time."""
    end = time.monotonic() + seconds
    while not claim() and time.monotonic() < end:
        time.sleep(0.02)
    return claim()


# Time, memory, disk, output: resource limits, deadlines, a bounded file system in memory.


def test_an_endless_program_is_a_timeout() -> None:
    """A sleeper meets the wall clock, a busy one its processor time: a slow machine is no excuse or fault."""
    assert attack("import time\ntime.sleep(60)").status == "timeout"
    patient = SandboxLimits(cpu_seconds=1, wall_seconds=40.0)
    verdict = attack("while True:\n    pass", limits=patient)
    assert (verdict.status, verdict.detail) == ("timeout", "it used its 1 s of processor time")


@pytest.mark.parametrize("layers", ["all", "no namespaces"])
def test_ten_gigabytes_are_out_of_memory(layers: str) -> None:
    patient = SandboxLimits(cpu_seconds=10, wall_seconds=40.0)
    for body in (
        "x = bytearray(10 << 30)",
        "x = []\nwhile True:\n    x.append(bytearray(1 << 20))",
    ):
        assert attack(body, layers, limits=patient).status == "memory"


def test_memory_outside_the_address_space_is_refused() -> None:
    assert attack("os.memfd_create('hidden')", needs=(FILTER,)).status == "refused"


def test_the_disk_cannot_be_filled() -> None:
    fill = (
        "for i in range(100):\n    with open(f'{i}', 'wb') as f:\n        f.write(bytes(1 << 20))"
    )
    assert attack(fill, needs=("files hidden",)).status == "refused"
    many = "for i in range(10000):\n    open(f'{i}', 'wb').close()"
    assert attack(many, needs=("files hidden",)).status == "refused"


def test_one_file_is_bounded_on_every_machine() -> None:
    one = "with open('big', 'wb') as f:\n    while True:\n        f.write(bytes(1 << 20))"
    assert attack(one, "no namespaces").status == "refused"


def test_endless_output_goes_nowhere() -> None:
    assert attack("while True:\n    print('x' * 10000)").status == "timeout"
    flood = "while True:\n    for fd in range(3, 64):\n        try:\n            os.write(fd, b'x' * 10000)\n"
    flood += "        except OSError:\n            pass"
    assert attack(flood).status in {"error", "timeout"}


def test_a_huge_exception_is_shortened() -> None:
    assert len(attack("raise ValueError('x' * 10**7)").detail) <= 300


# Files: only libraries are in the new root; Landlock where there is none.


@pytest.mark.parametrize("layers", FILES_HELD)
def test_files_outside_cannot_be_read(layers: str, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):  # so that not only their modes protect
        folder.chmod(0o755)
    secret = tmp_path / "id_ed25519"
    secret.write_text("secret", encoding="utf-8")
    secret.chmod(0o644)
    read = (
        "os.symlink(PATH, 'link')\n"
        "for path in (PATH, 'link', '../' * 20 + PATH, '/proc/1/root' + PATH, '/proc/self/cwd/..' + PATH):\n"
        "    try:\n        open(path).read()\n        return 'escaped'\n    except OSError:\n        pass\n"
        "try:\n    os.link(PATH, 'hard')\n    return 'escaped'\nexcept OSError:\n    return 'safe'"
    )
    verdict = attack(read, layers, ("files hidden", LANDLOCK), PATH=str(secret))
    assert verdict.status == "passed", verdict


@pytest.mark.parametrize("layers", FILES_HELD)
def test_nothing_is_written_into_the_project(layers: str) -> None:
    target = Path(__file__).with_name(f"escaped_{os.getpid()}.py")
    write = (
        "os.symlink(os.path.dirname(PATH), 'folder')\n"
        "for path in (PATH, 'folder/' + os.path.basename(PATH)):\n"
        "    try:\n        open(path, 'w').write('x')\n        return 'escaped'\n"
        "    except OSError:\n        pass\nreturn 'safe'"
    )
    try:
        verdict = attack(write, layers, ("files hidden", LANDLOCK), PATH=str(target))
        assert verdict.status == "passed", verdict
        assert not target.exists()
    finally:
        target.unlink(missing_ok=True)


def test_python_itself_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its owner: libraries are bound read-only. Landlock, left out here, would refuse it too."""
    monkeypatch.setitem(LAYERS, "root alone", ("root", "landlock", "system call filter"))
    write = "import typing\nopen(os.path.dirname(typing.__file__) + '/escaped.py', 'w')"
    assert attack(write, "root alone", ("files hidden",)).status == "refused"


def test_the_private_folder_can_be_used_and_is_gone_afterwards(tmp_path: Path) -> None:
    use = "open('note', 'w').write('x')\nassert open('note').read() == 'x'\nreturn os.getcwd()"
    seen = "def check(candidate):\n    assert candidate() == ''\n"
    assert attack(use, test=seen).detail == "assert candidate() == ''"
    assert attack(f"{use[:-18]}\nreturn 'safe'").status == "passed"
    before = set(Path(os.environ.get("TMPDIR", "/tmp")).glob("cgd_sandbox_*"))
    attack("open('note', 'w').write('x')", "no namespaces")
    assert not [p for p in set(before) if p.exists() and (p / "note").exists()]


# Network: an empty namespace; the filter refuses sockets.


@pytest.mark.parametrize("layers", LAYERS)
def test_no_socket_reaches_this_machine(layers: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.05)
        connect = (
            "import socket\ntry:\n    socket.create_connection(('127.0.0.1', PORT), 1).send(b'x')\n"
            "except OSError:\n    return 'safe'"
        )
        port = listener.getsockname()[1]
        verdict = attack(connect, layers, (FILTER, NAMESPACES, LANDLOCK), PORT=port)
        assert verdict.status == "passed", verdict
        with pytest.raises(TimeoutError):
            listener.accept()


def test_the_attacks_are_real_where_nothing_protects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same attempts succeed with every wall left out, so the other tests are not passing for another reason."""
    monkeypatch.setitem(LAYERS, "nothing", NOTHING)
    target = tmp_path / "file"
    target.write_text("secret", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        facts = {"PATH": str(target), "PORT": listener.getsockname()[1], "PID": os.getpid()}
        for success in (
            "open(PATH).read()",
            "open(PATH, 'w').write('x')",
            "import socket\nsocket.create_connection(('127.0.0.1', PORT), 1).close()",
            "import subprocess\nsubprocess.run(['/bin/true'], check=True)",
            "os.waitpid(os.fork() or os._exit(0), 0)",
            "os.kill(PID, 0)",
        ):
            verdict = attack(success, "nothing", **facts)
            assert (verdict.status, verdict.detail) == ("failed", "assert candidate() == 'safe'")


# The kernel's doors: the filter, and no capabilities.


@pytest.mark.parametrize("name", ["unshare", "ptrace", "mount", "chroot", "setns"])
def test_doors_to_more_rights_are_shut(name: str) -> None:
    knock = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "arguments = {'unshare': (0x10000000,), 'ptrace': (16, 1, 0, 0), 'chroot': (b'/',), 'setns': (0, 0)}\n"
        "wanted = arguments.get(NAME, (b'none', b'/scratch', b'tmpfs', 0, None))\n"
        "if getattr(libc, NAME)(*wanted) == -1 and ctypes.get_errno() == 1:\n    return 'safe'"
    )
    assert attack(knock, needs=(FILTER,), NAME=name).status == "passed"


def test_the_program_is_nobody_without_capabilities() -> None:
    look = "try:\n    os.setuid(0)\n    return 'escaped'\nexcept OSError:\n    return 'safe'"
    assert attack(look, needs=("user namespace",)).status == "passed"
    who = "def check(candidate):\n    assert candidate() == 65534\n"
    assert attack("return os.getuid()", needs=("user namespace",), test=who).status == "passed"
