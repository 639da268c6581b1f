"""A real Slurm on this machine, for the length of a `with` block: munge, a controller, and nodes that are only names.

    with slurm(folder, nodes=2) as cluster:
        cluster.run("sbatch", ...)

Everything it writes lies in `folder`; ports are free ones; processes end with the block. Needs root and the packages
slurmd, slurmctld, slurm-client and munge of Debian. Nodes see each other under names from a hosts file of their own,
mounted over the machine's for them alone.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "unshare")
SECONDS_TO_START = 30.0

CONFIG = """\
ClusterName=rehearsal
SlurmctldHost=localhost
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1,defer_batch
ReturnToService=2
MinJobAge=3600
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Slurm:
    """The running cluster."""

    folder: Path
    nodes: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """What its commands need."""
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *command: object, check: bool = True, **options: object) -> str:
        """What a command prints."""
        words = [str(word) for word in command]
        done = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, timeout=60, **options
        )
        assert done.returncode == 0 or not check, (words, done.stdout, done.stderr)
        return done.stdout.strip()

    def facts(self, job: str) -> list[dict[str, str]]:
        """What the controller says of a job, or of each task of an array: JobState, Restarts, ExitCode, Command, ..."""
        lines = self.run("scontrol", "--oneliner", "show", "job", job).splitlines()
        pairs = [[word.split("=", 1) for word in line.split() if "=" in word] for line in lines]
        return [dict(task) for task in pairs]

    def wait(self, job: str, states: Sequence[str], seconds: float) -> list[dict[str, str]]:
        """Waits until a job, every task of it, is in one of these states."""
        deadline = time.monotonic() + seconds
        tasks = self.facts(job)
        while not {task["JobState"] for task in tasks} <= {*states}:
            assert time.monotonic() < deadline, f"{tasks}\n{self.run('squeue', '--all')}"
            time.sleep(0.2)
            tasks = self.facts(job)
        return tasks


def missing() -> str:
    """Why it cannot be started here; nothing where it can."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"needs {', '.join(absent)} (apt-get install slurmd slurmctld munge)" if absent else ""


@contextmanager
def slurm(folder: Path, nodes: int = 2, cpus: int = 2) -> Iterator[Slurm]:
    """Starts everything, waits until the nodes are idle, and ends it."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    names = tuple(f"node{number}" for number in range(nodes))
    cluster = Slurm(folder, names)
    write_files(cluster, cpus)
    with ExitStack() as stack:
        munged = ("munged", "--foreground", "--force", f"--key-file={folder}/munge.key")
        own = ("socket", "pid-file", "log-file", "seed-file")
        files = [f"--{name}={folder}/munge.{name.removesuffix('-file')}" for name in own]
        stack.enter_context(running(cluster, (*munged, *files)))
        wait_for(lambda: (folder / "munge.socket").exists(), "munged")
        stack.enter_context(running(cluster, ("slurmctld", "-D", "-c")))
        for name in names:
            mount = f"mount --bind {folder}/hosts /etc/hosts && exec slurmd -D -N {name}"
            stack.enter_context(running(cluster, ("unshare", "--mount", "sh", "-c", mount)))
        idle = ("sinfo", "--noheader", "--Node", "--format=%T")
        wait_for(lambda: cluster.run(*idle, check=False).split() == ["idle"] * nodes, "the nodes")
        yield cluster


def write_files(cluster: Slurm, cpus: int) -> None:
    """Keys, names and the configuration."""
    folder = cluster.folder
    (folder / "state").mkdir()
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o600)
    hosts = Path("/etc/hosts").read_text(encoding="utf-8")
    (folder / "hosts").write_text(f"{hosts}\n127.0.0.1 {' '.join(cluster.nodes)}\n")
    host = socket.gethostname()
    ports = free_ports(1 + len(cluster.nodes))
    lines = [
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} State=UNKNOWN"
        for name, port in zip(cluster.nodes, ports[1:], strict=True)
    ]
    text = CONFIG.format(folder=folder, controller_port=ports[0], nodes="\n".join(lines))
    (folder / "slurm.conf").write_text(text)


@contextmanager
def running(cluster: Slurm, command: Sequence[str]) -> Iterator[None]:
    """A daemon for the length of the block; its output is beside the others' logs."""
    with (cluster.folder / "daemons.log").open("a") as log:
        daemon = subprocess.Popen(
            command, env=cluster.environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def wait_for(seen: object, what: str) -> None:
    """Waits until something is seen."""
    assert callable(seen)
    deadline = time.monotonic() + SECONDS_TO_START
    while not seen():
        assert time.monotonic() < deadline, f"{what} did not come up"
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
