"""Trackers that are programs of their own: Weights & Biases, MLflow, trackio. Asked for, never needed.

    wandb      offline in TRAINING/wandb, for `wandb sync`; online with WANDB_API_KEY or WANDB_MODE=online
    mlflow     where MLFLOW_TRACKING_URI says, or else mlflow's own default, a file of this directory
    trackio    in its folder on this machine; TRACKIO_SPACE_ID or TRACKIO_SERVER_URL send it elsewhere

Each is imported when it is asked for. What they would collect by themselves (printed lines, which show prompts; code,
machine, packages; usage statistics) is turned off.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from engine.redaction import redacted
from engine.toml import flatten
from engine.trackers import Tracked, Tracker

PROJECT = "critique-guided-distillation"
ONLY_NUMBERS = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "save_code": False,
    "silent": True,
    "init_timeout": 60.0,  # seconds
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
    "x_transaction_log_flush_interval": 2.0,  # seconds: what a kill may cost
}
"""Settings of Weights & Biases, as far as its version has them."""
QUIET = {
    "DO_NOT_TRACK": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
}
"""Variables that turn off what they tell their makers; one that the user has set stays as it is."""


def keep_quiet() -> None:
    """Before any of them is imported."""
    for variable, value in QUIET.items():
        os.environ.setdefault(variable, value)


def plain_settings(tracked: Tracked) -> dict[str, Any]:
    """The settings on one level, as numbers and short texts."""
    flat = flatten(tracked.attempt.settings)
    return {
        name: value if isinstance(value, int | float) else redacted(str(value))
        for name, value in flat.items()
    }


class Wandb:
    """A run of Weights & Biases."""

    def __init__(self, tracked: Tracked, known: str | None) -> None:
        keep_quiet()
        import wandb

        self.id = known or uuid.uuid4().hex[:12]
        usual = "online" if "WANDB_API_KEY" in os.environ else "offline"
        mode = os.environ.get("WANDB_MODE", usual)
        self.run = wandb.init(
            id=self.id,
            resume="allow",
            name=tracked.attempt.name,
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=str(tracked.attempt.folder),
            config=plain_settings(tracked),
            mode=mode,
            settings=wandb.Settings(
                **{k: v for k, v in ONLY_NUMBERS.items() if k in wandb.Settings.model_fields}
            ),
        )
        if mode == "offline":
            print(f"wandb: offline, in {self.run.dir}; WANDB_MODE=online sends it", flush=True)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """One point of every curve."""
        self.run.log(dict(figures), step=step)

    def close(self, failed: bool) -> None:
        """Sends what is left."""
        self.run.finish(exit_code=int(failed))


class Mlflow:
    """A run of MLflow."""

    def __init__(self, tracked: Tracked, known: str | None) -> None:
        keep_quiet()
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self.client = MlflowClient()
        self.id = known or self.new_run(tracked.attempt.name)
        self.client.update_run(self.id, status="RUNNING")
        if known is None:
            settings = [Param(k, str(v)[:500]) for k, v in plain_settings(tracked).items()]
            self.client.log_batch(self.id, params=settings)

    def new_run(self, name: str) -> str:
        """Its id, in the project's experiment."""
        experiment = self.client.get_experiment_by_name(PROJECT)
        number = experiment.experiment_id if experiment else self.client.create_experiment(PROJECT)
        return str(self.client.create_run(number, run_name=name).info.run_id)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """One point of every curve, in one call."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        points = [Metric(name, value, now, step) for name, value in figures.items()]
        self.client.log_batch(self.id, metrics=points)

    def close(self, failed: bool) -> None:
        """Says how it ended."""
        self.client.set_terminated(self.id, "FAILED" if failed else "FINISHED")


class Trackio:
    """A run of trackio."""

    def __init__(self, tracked: Tracked, known: str | None) -> None:
        keep_quiet()
        import trackio

        self.id = known or f"{tracked.attempt.name}-{uuid.uuid4().hex[:6]}"
        self.run = trackio.init(
            project=PROJECT,
            name=self.id,
            resume="allow",
            config=plain_settings(tracked),
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """One point of every curve."""
        self.run.log(dict(figures), step=step)

    def close(self, failed: bool) -> None:
        """Writes what is left."""
        self.run.finish()


OPENERS: Mapping[str, Callable[[Tracked, str | None], Tracker]] = {
    "wandb": Wandb,
    "mlflow": Mlflow,
    "trackio": Trackio,
}
