"""`cgd doctor`: what on this machine, or in a configuration, would stop a run or spoil it; and what to type next.

    cgd doctor [CONFIG]                              this machine, and all that CONFIG names
    torchrun --nproc-per-node N -m launch.doctor     the same on rank 0, after timing how fast the ranks add up

Every check is a small function that returns findings (doctor_finding.py). The cheap ones are also a run's preflight
(preflight.py); here come those that take seconds: what servers serve, a rehearsed training step, sizes on the hub.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

from engine.command import exit_code_of, leave
from engine.config import ConfigError
from launch.config import Config, load_config
from launch.doctor_collectives import time_ranks
from launch.doctor_finding import Finding, as_json, error, findings_of, num_of, ok, table
from launch.doctor_gpus import CudaFacts, gather, gpu_findings, vllm_finding
from launch.doctor_hub import download_bytes
from launch.doctor_inputs import hub_prompts
from launch.doctor_machine import disk, machine_findings
from launch.doctor_models import here, models_of, weights_of
from launch.doctor_servers import backends_of, key_finding, serving_findings
from launch.doctor_training import planned_memory, ranks_here
from launch.preflight import cheap_findings
from launch.verbs_doctor import add_options

EXIT_ERRORS = 2
MANY_PARAMETERS = 100_000_000
"""From here on a rehearsal takes longer than one likes to wait without a word."""
EVERYTHING = frozenset({"data", "train", "evaluate", "base", "diagnose"})


def run_doctor(
    path: Path | None,
    overrides: Sequence[str],
    world_size: int | None,
    as_object: bool,
    timed: Sequence[Finding] = (),
) -> int:
    """Prints all findings, those of the ranks among them; the exit code says whether one is an error."""
    with redirect_stdout(sys.stderr):  # libraries that talk must not end up in the JSON
        findings = [*examine(path, overrides, world_size), *timed]
    about = str(path) if path else None
    print(as_json(findings, about) if as_object else table(findings))
    return EXIT_ERRORS if num_of(findings, "error") else 0


def examine(path: Path | None, overrides: Sequence[str], world_size: int | None) -> list[Finding]:
    """Every check, in the order of importance."""
    facts = gather()
    found = findings_of("machine", machine_findings)
    found += findings_of("CUDA", partial(gpu_findings, facts))
    config = None
    if path is not None:
        try:
            config = load_config(path, overrides, needs_student=False)
        except ConfigError as mistakes:
            found += [error("configuration", problem) for problem in mistakes.problems]
        else:
            found.append(ok("configuration", str(path)))
    found += findings_of("vLLM", vllm_finding)
    found += findings_of("hub", partial(hub_findings, config))
    if config is None:
        found += findings_of("disk", partial(disk, "disk: here", Path("runs")))
        return found
    return found + examine_config(config, world_size or ranks_of(facts, config))


def ranks_of(facts: CudaFacts, config: Config) -> int:
    """Those that torchrun started, else one for each GPU; where the configuration asks for more, so many."""
    return max(ranks_here(), facts.visible, config.train.shard_size or 1)


def examine_config(config: Config, world_size: int) -> list[Finding]:
    """What a run would do first, and what only a look of seconds can tell."""
    kinds = kinds_of(config)
    found = cheap_findings(config, kinds, world_size)
    if "data" in kinds:
        found += findings_of("data.prompts", partial(hub_prompts, config))
    for section, (backend, served) in backends_of(config, kinds).items():
        found += findings_of(f"{section} key", partial(key_finding, section, backend))
        asked = partial(serving_findings, section, backend, served)
        found += findings_of(f"{section} serves", asked)
    if num_of(found, "error"):
        return found  # a rehearsal takes seconds, and would be in vain
    for model, folder in here(models_of(config, kinds)):
        if model.section == "student":
            if sys.stderr.isatty() and weights_of(folder).num_parameters > MANY_PARAMETERS:
                print("rehearsing a training step …", file=sys.stderr, flush=True)
            planned = partial(planned_memory, config.train, folder, world_size)
            found += findings_of("memory: training", planned)
    return found


def kinds_of(config: Config) -> frozenset[str]:
    """The kinds of work that this configuration could ask for."""
    return EVERYTHING - ({"data"} if config.train.data is not None else set())


def hub_findings(config: Config | None) -> list[Finding]:
    """The token, and room for what will be fetched."""
    from huggingface_hub import get_token
    from huggingface_hub.constants import HF_HUB_CACHE, HF_HUB_OFFLINE

    token = (
        "a token is here" if get_token() else "no token (hf auth login; only gated models need it)"
    )
    offline = ", but HF_HUB_OFFLINE is set: nothing is fetched" if HF_HUB_OFFLINE else ""
    found = [ok("hub", token + offline)]
    models = models_of(config, kinds_of(config)) if config else []
    absent = [model for model in models if model.folder is None]
    needed = sum(download_bytes(m.name, m.revision) for m in absent if m.can_be_on_hub)
    advice = "make room, or export HF_HOME=/a/larger/disk"
    return [*found, disk("disk: hub cache", Path(HF_HUB_CACHE), needed, advice)]


# ---- under torchrun ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m launch.doctor`; each rank of torchrun's comes here, and rank 0 does the talking."""
    parser = argparse.ArgumentParser(prog="python -m launch.doctor", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_options(parser)
    options = parser.parse_args(arguments)
    timed: list[Finding] = []
    if "RANK" in os.environ:
        with redirect_stdout(sys.stderr if options.json else sys.stdout):
            code = exit_code_of(lambda: timed.extend(time_ranks()))
            print()
        if code or os.environ["RANK"] != "0":
            return code
    return run_doctor(options.config, options.set, options.world_size, options.json, timed)


if __name__ == "__main__":
    leave(main())
