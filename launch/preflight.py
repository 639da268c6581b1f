"""Before anything expensive: does everything exist that the work ahead will need?

    config, kinds of work ahead → the cheap checks of doctor_*.py → warnings are printed, errors are one ValueError

A night's run fails in its first second, or not for such a reason. Looked at is only what the work ahead needs: a
student that nobody asks any more may be gone. Nothing is downloaded, no weights are read, no text is asked for, and
results do not depend on it. `cgd doctor CONFIG` makes these checks too, and those that take longer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from pathlib import Path

from datagen.progress_bar import Say, say_line
from launch.config import Config
from launch.doctor_chat import chat_findings
from launch.doctor_finding import Finding, findings_of, num_of, plural
from launch.doctor_inputs import input_findings
from launch.doctor_models import NamedModel, here, model_finding, models_of, weights_of
from launch.doctor_servers import backends_of, connection_findings
from launch.doctor_training import (
    backend_findings,
    disk_finding,
    precision_finding,
    ranks_here,
    state_finding,
    world_findings,
)


def preflight(
    config: Config, kinds: Collection[str], says: bool = True, say: Say = say_line
) -> None:
    """Raises one ValueError with all that would stop work of these kinds: data, train, evaluate, and base, the
    evaluation of the student itself."""
    findings = cheap_findings(config, frozenset(kinds), ranks_here())
    refuse(findings)
    if not says:
        return  # one of several workers has said it
    for finding in findings:
        if finding.state == "warn":
            say(f"preflight: {finding.in_words()}")
    say(f"preflight: {plural(num_of(findings, 'ok'), 'check')} passed")


def refuse(findings: Iterable[Finding]) -> None:
    """Raises one ValueError with all errors among the findings, if there is one."""
    errors = [finding.in_words() for finding in findings if finding.state == "error"]
    if len(errors) == 1:
        raise ValueError(errors[0])
    if errors:
        listed = "\n".join(f"  {text}" for text in errors)
        count = plural(len(errors), "problem")
        raise ValueError(f"{count}, found before anything was run:\n{listed}")


def cheap_findings(config: Config, kinds: frozenset[str], world_size: int) -> list[Finding]:
    """All that can be known in a fraction of a second, the most important first."""
    found = input_findings(config, kinds)
    models = models_of(config, kinds)
    # a model may be its own teacher, and is looked at once
    for model in {(m.name, m.revision): m for m in reversed(models)}.values():
        found += findings_of(model.key, partial(model_finding, model))
    whole = list(here(models))
    for model, folder in whole:
        found += findings_of(model.key, partial(chat_findings, model, folder, config))
    for section, (backend, _) in backends_of(config, kinds).items():
        found += findings_of(f"{section}.base_url", partial(connection_findings, section, backend))
    found += findings_of("backend", partial(backend_findings, config, kinds))
    if "train" in kinds:
        found += training_findings(config, whole, world_size)
    return found


def training_findings(
    config: Config, whole: Sequence[tuple[NamedModel, Path]], world_size: int
) -> list[Finding]:
    """Ranks, and where the student lies here what its size asks for."""
    train = config.train
    found = findings_of("train.shard_size", partial(world_findings, train, world_size))
    for model, folder in whole:
        if model.section == "student":
            size = weights_of(folder).num_parameters
            found += findings_of("train.precision", partial(precision_finding, train, size))
            if num_of(found, "error") == 0:
                state = partial(state_finding, train, size, world_size)
                found += findings_of("memory: state", state)
            found += findings_of("disk: run folder", partial(disk_finding, config, folder))
    return found
