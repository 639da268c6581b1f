"""Batch jobs of a run: who waits for whom, what each is given, and the scripts that start servers, with stand-ins."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from conftest import Run

from datagen.backends import BackendConfig, TeacherConfig
from datagen.workers import locked_for_workers
from engine.config import flatten
from launch.cli import parser
from launch.cluster import jobs as cluster_jobs
from launch.cluster.jobs import Cluster, as_served, batch_jobs, describe_jobs, write_jobs
from launch.cluster.slurm import BatchJob, batch_script, seconds_of, shell_line
from launch.config import CONFIGS, Config, load_config
from launch.runs import as_tables, locked, moved_servers

HERE = Path(cluster_jobs.__file__).parent
TWO_NODES = Cluster(nodes=2, gpus_per_node=8)
VLLM = TeacherConfig(model="big/model", backend="vllm", tensor_parallel=4, max_model_len=8192)


@pytest.fixture
def config() -> Config:
    return load_config(CONFIGS / "quickstart.toml")


def by_name(jobs: list[BatchJob]) -> dict[str, BatchJob]:
    return {job.name: job for job in jobs}


def of_run(config: Config, nodes: int = 2, gpus: int = 8, **more: int) -> dict[str, BatchJob]:
    cluster = Cluster(nodes=nodes, gpus_per_node=gpus, **more)
    config, cluster = as_served(config, cluster)
    return by_name(batch_jobs(config, cluster, Path("jobs"), "run"))


# ---- which jobs -------------------------------------------------------------------------------------


def test_every_stage_waits_for_what_it_reads(config: Config) -> None:
    jobs = of_run(config)
    objectives = config.pipeline.objectives
    assert jobs["generate"].after == ()
    for name in objectives:
        assert jobs[f"train-{name}"].after == ("generate",)
        assert jobs[f"evaluate-{name}"].after == (f"train-{name}",)
    assert jobs["evaluate-base"].after == ("generate",)
    assert set(jobs["report"].after) == {f"evaluate-{name}" for name in ("base", *objectives)}
    assert len(jobs) == 3 + 2 * len(objectives)


def test_the_same_run_takes_what_there_is(config: Config) -> None:
    """A node without a GPU, one GPU, eight, sixteen nodes: other numbers, the same commands."""
    laptop, one, eight, many = (of_run(config, *size) for size in ((1, 0), (1, 1), (1, 8), (16, 8)))
    assert laptop.keys() == one.keys() == eight.keys() == many.keys()
    assert [jobs["train-cgd"].gpus for jobs in (laptop, one, eight, many)] == [0, 1, 8, 8]
    assert [jobs["train-cgd"].nodes for jobs in (laptop, one, eight, many)] == [1, 1, 1, 16]
    assert [jobs["generate"].tasks for jobs in (laptop, one, eight, many)] == [1, 1, 8, 128]
    assert "--gpus" not in batch_script(laptop["train-cgd"])
    assert "#SBATCH --gpus-per-node=8\n" in batch_script(eight["train-cgd"])
    assert "srun" not in batch_script(eight["train-cgd"])
    assert "srun --kill-on-bad-exit=1 --cpus-per-task=64 python" in batch_script(many["train-cgd"])
    assert "--array=0-127\n" in batch_script(many["generate"])
    assert "--worker $SLURM_ARRAY_TASK_ID/128" in batch_script(many["generate"])
    assert "logs/generate.%a.log" in batch_script(many["generate"])
    assert [jobs["evaluate-cgd"].gpus for jobs in (laptop, one, eight, many)] == [0, 1, 1, 1]


def test_a_worker_has_the_gpus_of_one_copy_of_its_models(config: Config) -> None:
    jobs = of_run(replace(config, teacher=VLLM))
    assert (jobs["generate"].tasks, jobs["generate"].gpus) == (4, 4)
    served = of_run(replace(config, inference=BackendConfig(base_url=("http://a/v1",))))
    assert (served["generate"].tasks, served["generate"].gpus) == (1, 0)
    assert (
        served["evaluate-base"].gpus == 1
    )  # trained models lie here, whoever answers for the student


def test_kinds_of_stages_stand_alone(config: Config) -> None:
    cluster = Cluster(nodes=1, gpus_per_node=1)
    given = replace(config, train=replace(config.train, data="mine.jsonl"))
    assert [*by_name(batch_jobs(config, cluster, Path("jobs"), "generate"))] == ["generate"]
    assert all(job.name[:6] == "train-" for job in batch_jobs(config, cluster, Path("x"), "train"))
    assert "generate" not in by_name(batch_jobs(given, cluster, Path("jobs"), "run"))
    with pytest.raises(ValueError, match="records are there already"):
        batch_jobs(given, cluster, Path("jobs"), "generate")
    rounds = replace(config.pipeline, rounds=2, objectives=("cgd",))
    with pytest.raises(ValueError, match="each round needs the one before"):
        batch_jobs(replace(config, pipeline=rounds), cluster, Path("jobs"), "run")


# ---- what is written --------------------------------------------------------------------------------


def test_what_is_described_is_what_is_written(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("my jobs")
    told = "\n".join(describe_jobs(config, TWO_NODES, folder))
    assert not folder.exists()
    script = write_jobs(config, TWO_NODES, folder)
    assert os.access(script, os.X_OK)
    assert f"cd {tmp_path}\n" in script.read_text()
    for line in script.read_text().splitlines()[3:]:
        assert f"  {line}\n" in told
    for file in folder.glob("*.sbatch"):
        text = file.read_text()
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)
        assert (text in f"{told}\n") or re.match("(train|evaluate)-", file.name)
    assert flatten(as_tables(load_config(folder / "config.toml"))) == flatten(as_tables(config))


def test_every_command_can_be_typed(config: Config, tmp_path: Path) -> None:
    for job in of_run(replace(config, teacher=VLLM), servers=2).values():
        can_be_typed(shlex.split(shell_line(job.command)), job.name)


def can_be_typed(words: list[str], where: str) -> None:
    """What the command line would say of it; options of torchrun, of vLLM and of shells are not looked at."""
    if "cgd" in words:
        options = parser().parse_args(words[words.index("cgd") + 1 :])
        assert callable(options.verb), where
    elif "launch.cli" in words:
        parser().parse_args(words[words.index("launch.cli") + 1 :])
    else:
        assert "engine.train" in words or "serve_vllm.sh" in " ".join(words), where


def test_a_job_is_told_in_time_for_a_checkpoint(config: Config) -> None:
    limits = {"30": 1800, "30:30": 1830, "24:00:00": 86400, "2-0": 172800, "1-12:30": 131400}
    assert {text: seconds_of(text) for text in limits} == limits
    job = of_run(config)["train-cgd"]
    assert "--signal=B:USR1@600\n" in batch_script(job)
    assert "--signal=B:USR1@180\n" in batch_script(replace(job, time="12:00"))
    for wrong in ("tomorrow", "1:2:3", "", "24h"):
        with pytest.raises(ValueError, match="HOURS:MINUTES:SECONDS"):
            replace(job, time=wrong)
    with pytest.raises(ValueError, match="10 minutes or more"):
        replace(job, time="00:05:00")
    with pytest.raises(ValueError, match="nodes must be 1 or more"):
        Cluster(nodes=0, gpus_per_node=1)


# ---- a teacher behind servers -----------------------------------------------------------------------


def test_a_teacher_larger_than_a_node_is_served_over_several(config: Config) -> None:
    large = replace(config, teacher=replace(VLLM, tensor_parallel=16))
    jobs = of_run(large)
    serve, generate = jobs["serve"], jobs["generate"]
    assert (serve.nodes, serve.gpus, serve.tasks) == (2, 8, 1)
    assert "--tensor-parallel-size 8 --pipeline-parallel-size 2" in batch_script(serve)
    assert re.search(r"srun .* bash \S+/ray_vllm.sh jobs/servers big/model ", batch_script(serve))
    assert generate.alongside == ("serve",)
    assert (generate.gpus, generate.tasks) == (1, 16)  # the student's
    lines = describe_jobs(large, TWO_NODES, Path("jobs"))
    assert "  job_generate=$(sbatch --parsable --dependency=after:$job_serve " in "\n".join(lines)
    (end,) = [line for line in lines if "scancel" in line]
    assert "--dependency=afterany:$job_generate " in end
    assert end.endswith('--wrap="scancel $job_serve"')
    with pytest.raises(ValueError, match="no multiple of the 8 GPUs"):
        of_run(replace(config, teacher=replace(VLLM, tensor_parallel=12)))


def test_servers_may_come_up_anywhere_without_losing_a_text(config: Config) -> None:
    asked, cluster = as_served(replace(config, teacher=VLLM), Cluster(nodes=1, gpus_per_node=8))
    assert (asked.teacher, cluster.servers) == (VLLM, 0)
    asked, cluster = as_served(
        replace(config, teacher=VLLM), Cluster(nodes=1, gpus_per_node=8, servers=2)
    )
    assert asked.teacher.runs_on == "openai"
    assert moved_servers(asked) == {"teacher.base_url"}
    assert "--max-model-len 8192" in str(asked.teacher.address)
    assert "bash" in of_run(replace(config, teacher=VLLM), servers=2)["generate"].command
    with pytest.raises(ValueError, match='backend = "vllm"'):
        of_run(config, servers=1)


# ---- the scripts around vLLM, with stand-ins --------------------------------------------------------

STAND_IN = """\
import http.server, os, sys
print("vllm", *sys.argv[1:], os.environ["VLLM_API_KEY"][:0], flush=True)
if sys.argv[2] == "broken":
    sys.exit(7)
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Healthy).serve_forever()
"""


@pytest.fixture
def stand_ins(tmp_path: Path) -> dict[str, str]:
    """An environment whose `vllm` is a server without a model, and whose `ray` writes down what it is asked."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "vllm.py").write_text(STAND_IN)
    vllm = f'exec {sys.executable} {programs}/vllm.py "$@"'
    ray = f'echo "$VLLM_HOST_IP ray $*" >>{tmp_path}/ray.log\ncase "$*" in *--head*) exec sleep 60 ;; esac'
    for name, lines in (("vllm", vllm), ("ray", ray)):
        (programs / name).write_text(f"#!/bin/bash\n{lines}\n")
        (programs / name).chmod(0o755)
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.02)


def script(name: str, *arguments: object) -> list[str]:
    return ["bash", str(HERE / name), *map(str, arguments)]


def test_a_server_tells_its_address_while_it_is_up(
    tmp_path: Path, stand_ins: dict[str, str]
) -> None:
    folder = tmp_path / "servers"
    command = script("serve_vllm.sh", folder, "model", "--revision", "main")
    with subprocess.Popen(command, env=stand_ins, stdout=subprocess.PIPE, text=True) as server:
        wait_for(folder / "7.url")
        assert re.fullmatch(r"http://\S+:\d+/v1\n", (folder / "7.url").read_text())
        assert (folder / "key").stat().st_mode & 0o077 == 0
        asking = script(
            "with_servers.sh", folder, 1, "sh", "-c", 'echo "$CGD_SERVER_KEY" "$@"', "-"
        )
        asked = subprocess.run(asking, capture_output=True, text=True, check=True).stdout.split()
        assert asked[-3] == (folder / "key").read_text()
        assert asked[-2:] == [
            "--set",
            f'teacher.base_url=["{(folder / "7.url").read_text()[:-1]}"]',
        ]
        server.send_signal(signal.SIGUSR1)
        assert server.wait(20) == 75
        assert not (folder / "7.url").exists()
        assert server.stdout is not None
        assert "vllm serve model --host 0.0.0.0 --port " in server.stdout.read()


def test_a_server_that_does_not_start_says_so(tmp_path: Path, stand_ins: dict[str, str]) -> None:
    command = script("serve_vllm.sh", tmp_path / "servers", "broken")
    assert subprocess.run(command, env=stand_ins, timeout=30, check=False).returncode == 7
    asking = script("with_servers.sh", tmp_path / "servers", 1, "true")
    given_up = subprocess.run(
        asking, env={**stand_ins, "CGD_SERVER_SECONDS": "0"}, capture_output=True, text=True
    )
    assert given_up.returncode == 2
    assert "error: 0 of 1 servers are up" in given_up.stderr


def test_ray_joins_the_nodes_and_the_first_one_serves(
    tmp_path: Path, stand_ins: dict[str, str]
) -> None:
    meet = {"HEAD": "localhost", "PORT": "6379", "CGD_HOST_IP": "10.0.0.9"}
    command = script("ray_vllm.sh", tmp_path / "servers", "model", "--tensor-parallel-size", 8)
    worker = subprocess.run(command, env={**stand_ins, **meet, "SLURM_NODEID": "1"}, timeout=30)
    assert worker.returncode == 0
    first = {**stand_ins, **meet, "SLURM_NODEID": "0"}
    with subprocess.Popen(command, env=first, stdout=subprocess.PIPE, text=True) as head:
        wait_for(tmp_path / "servers" / "7.url")
        head.send_signal(signal.SIGUSR1)
        assert head.wait(20) == 75
        assert head.stdout is not None
        assert head.stdout.read().split("\n")[0].endswith("--distributed-executor-backend ray ")
    asked = (tmp_path / "ray.log").read_text().splitlines()
    assert asked[0].startswith("10.0.0.9 ray start --address=localhost:6379 ")
    (started,) = [line for line in asked if "--head" in line]
    assert started.startswith("10.0.0.9 ray start --head --port=6379 ")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing(config: Config, tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    write_jobs(replace(config, teacher=VLLM), replace(TWO_NODES, servers=2), folder)
    scripts = [*HERE.glob("*.sh"), *folder.glob("*.s*")]
    harmless = (
        "--exclude=SC2086,SC2034"  # numbers without quotes, and of jobs that nobody waits for
    )
    subprocess.run(["shellcheck", "-x", harmless, *map(str, scripts)], check=True)


SRUN = """\
import os, signal, sys
from torch.distributed.elastic.multiprocessing import SignalException
from engine import torchrun

def told_to_leave(options):
    raise SignalException("told", signal.SIGUSR1)

torchrun.run.run = told_to_leave
code = torchrun.main(["-m", "engine.train"])
os.kill(os.getpid(), signal.SIGTERM)
sys.exit(code)
"""


def test_srun_does_not_take_away_what_a_training_ends_with() -> None:
    """It ends all other machines' launchers by SIGTERM as soon as the first has left; the job must still say 75."""
    assert subprocess.run([sys.executable, "-c", SRUN], timeout=120).returncode == 75


# ---- one run folder, several jobs -------------------------------------------------------------------


def test_evaluations_of_one_model_each_share_the_run_folder(tmp_path: Path, cgd: Run) -> None:
    text = "[student]\nmodel = 'builtin:student'\n[generate.answer]\nmax_tokens = 8\n"
    text += "[evaluate]\nbenchmarks = ['arithmetic']\nlimit = 2\nmax_tokens = 8\n"
    (tmp_path / "mine.toml").write_text(f"[run]\ndir = '{tmp_path}/run'\n{text}")
    run = tmp_path / "run"
    (run / "evals" / "base").mkdir(parents=True)
    command = ("evaluate", tmp_path / "mine.toml", "--model", "base")
    with locked(run):  # something else is being done there
        code, printed = cgd(*command)
        assert (code, "is working in" in printed) == (2, True), printed
    with locked_for_workers(run / ".lock", 2):  # the other model
        with locked(run / "evals" / "base"):  # the same model, somewhere else
            code, printed = cgd(*command)
            assert (code, "is working in" in printed) == (2, True), printed
        code, printed = cgd(*command)
        assert code == 0, printed
    assert (run / "evals" / "base" / "scores.json").is_file()


# ---- other clusters ---------------------------------------------------------------------------------


def test_kubernetes_and_skypilot_run_commands_that_exist() -> None:
    (listed,) = yaml.safe_load_all((HERE / "kubernetes.yaml").read_text())
    jobs = [item for item in listed["items"] if item["kind"] == "Job"]
    stages = [job["metadata"]["labels"]["stage"] for job in jobs]
    assert stages == ["generate", "train", "evaluate", "report"]
    for job in jobs:
        assert job["metadata"]["name"] == f"cgd-{job['metadata']['labels']['stage']}"
        (container,) = job["spec"]["template"]["spec"]["containers"]
        words = container["command"]
        can_be_typed(shlex.split(words[-1]) if words[0] == "bash" else words, str(words))
    _, *tasks = yaml.safe_load_all((HERE / "skypilot.yaml").read_text())
    assert [task["name"] for task in tasks] == stages
    for task in tasks:
        can_be_typed(shlex.split(task["run"]), task["name"])
