"""Workers as processes of this machine: started, listened to, waited for.

    prompts (once) -> N x `cgd generate CONFIG --worker K/N`, their lines under their number -> the last one merges

Where the models run here and there are GPUs, each process sees only its own: worker K the K-th, or as
many as `tensor_parallel` asks for. Without GPUs, vLLM gets cores of its own in each process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from threading import Thread

from datagen.backends import TeacherConfig
from launch.config import Config
from launch.pipeline import run_pipeline

VISIBLE = "CUDA_VISIBLE_DEVICES"


class WorkersStopped(ValueError):
    """Some workers have ended before their work was done; they have said why."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run_workers(config: Config, options: argparse.Namespace) -> None:
    """All workers, from the first prompt to the merged files."""
    count = options.workers
    if count < 1:
        raise ValueError(f"--workers must be 1 or more, got {count}")
    run_pipeline(config, options.overwrite, "prompts", rework=options.rework)
    processes = [start(config, options, number) for number in range(count)]
    listeners = [Thread(target=pass_on, args=pair) for pair in enumerate(processes)]
    for listener in listeners:
        listener.start()
    try:
        codes = [process.wait() for process in processes]
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.wait()
        for listener in listeners:
            listener.join()
    stopped = [f"worker {number} (exit code {code})" for number, code in enumerate(codes) if code]
    if stopped:
        raise WorkersStopped(
            f"{', '.join(stopped)} of {count} did not come to the end; what went wrong stands above. "
            "All texts are safe: the same command goes on",
            next(code if code > 0 else 1 for code in codes if code),
        )


def start(config: Config, options: argparse.Namespace, number: int) -> subprocess.Popen[str]:
    """One worker's process."""
    command = [sys.executable, "-m", "launch.cli", "generate", str(options.config)]
    command += [part for setting in options.set for part in ("--set", setting)]
    command += ["--worker", f"{number}/{options.workers}"]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **own_devices(models_here(config), number, options.workers)},
    )


def pass_on(number: int, process: subprocess.Popen[str]) -> None:
    """Prints a worker's lines under its number."""
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            print(f"worker {number} | {line}", end="", flush=True)


def take_own_devices(local: Sequence[TeacherConfig]) -> None:
    """Leaves this process, which torchrun has started, its own devices for the models that run here; before anything
    has touched one."""
    number = int(os.environ.get("LOCAL_RANK", "0"))
    count = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    os.environ.update(own_devices(local, number, count))


def own_devices(local: Sequence[TeacherConfig], number: int, count: int) -> Mapping[str, str]:
    """The variable that shows a process, one of `count` here, its GPUs, or vLLM its cores where there are none;
    nothing where no model runs here."""
    per_copy = devices_per_worker(local)
    visible = visible_devices() if per_copy else []
    if not visible:
        return own_cores(number, count) if any(m.runs_on == "vllm" for m in local) else {}
    first = number * per_copy
    own = visible[first : first + per_copy]
    if len(own) < per_copy:
        raise ValueError(
            f"worker {number} has no GPU left: each takes {per_copy}, and there are {len(visible)}; "
            f"start at most {len(visible) // per_copy} workers here"
        )
    return {VISIBLE: ",".join(own)}


def own_cores(number: int, count: int) -> Mapping[str, str]:
    """The variable that binds vLLM to a part of the cores."""
    from datagen.vllm_devices import cores_of_worker  # loads torch

    return cores_of_worker(number, count)


def models_here(config: Config) -> list[TeacherConfig]:
    """Student and teacher, as far as they run on this machine."""
    from launch.data_step import student_as_generator

    models = [student_as_generator(config, 1), config.teacher]
    return [model for model in models if model.runs_on in ("transformers", "vllm")]


def devices_per_worker(local: Sequence[TeacherConfig]) -> int:
    """GPUs that the models of one worker take; they are in memory one at a time."""
    on_gpu = [model for model in local if model.device != "cpu"]
    return max((model.tensor_parallel for model in on_gpu), default=0)


def visible_devices() -> list[str]:
    """The GPUs that this process may use, as the variable names them."""
    import torch  # heavy, and only here

    if VISIBLE in os.environ:
        return [name for name in os.environ[VISIBLE].split(",") if name.strip()]
    return [str(number) for number in range(torch.cuda.device_count())]
