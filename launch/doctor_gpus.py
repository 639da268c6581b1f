"""GPUs: what the machine has, what the driver allows, what torch can use of it, and whether vLLM fits beside it.

    nvidia-smi, libcuda, torch → CudaFacts → cuda_finding: the one sentence that explains why torch sees no GPU

Facts are gathered in one place and judged in another, so that every judgement can be tried on a machine without GPUs.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from launch.doctor_finding import Finding, error, ok, size, warn
from launch.doctor_machine import installed

VISIBLE = "CUDA_VISIBLE_DEVICES"
TAKEN_SHARE = 0.1
"""Of a GPU's memory, above which other programs are worth a warning."""
LOAD_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class CudaFacts:
    """What is known of CUDA here."""

    torch_version: str
    torch_cuda: str | None
    """The CUDA that torch was built for, as `12.8`; None for a build without."""
    driver_cuda: str | None
    """The newest CUDA that the driver runs; None without a driver."""
    present: tuple[str, ...]
    """Names of the GPUs by nvidia-smi, whoever may use them."""
    visible: int
    """GPUs that torch can use."""
    mask: str | None
    """CUDA_VISIBLE_DEVICES."""
    said: str = ""
    """What torch remarked when it was asked."""


def gather() -> CudaFacts:
    """Asks the machine."""
    import torch  # heavy

    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        visible = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return CudaFacts(
        torch_version=torch.__version__,
        torch_cuda=torch.version.cuda,
        driver_cuda=driver_cuda(),
        present=present_gpus(),
        visible=visible,
        mask=os.environ.get(VISIBLE),
        said=str(remarks[0].message).partition("\n")[0].strip() if remarks else "",
    )


def driver_cuda() -> str | None:
    """The newest CUDA that the installed driver runs."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    number = ctypes.c_int(0)
    if library.cuDriverGetVersion(ctypes.byref(number)) != 0 or not number.value:
        return None
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def present_gpus() -> tuple[str, ...]:
    """What nvidia-smi lists."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in done.stdout.splitlines() if line.strip())


def cuda_finding(facts: CudaFacts) -> Finding:
    """Whether torch can use the GPUs that are there, and if not, why."""
    count = len(facts.present)
    if facts.visible:
        built = f"torch for CUDA {facts.torch_cuda}, driver for {facts.driver_cuda or 'unknown'}"
        hidden = f"; {count - facts.visible} more hidden by {VISIBLE}={facts.mask}"
        return ok(
            "CUDA", built + (hidden if facts.mask is not None and count > facts.visible else "")
        )
    if not count and facts.driver_cuda is None:
        return ok("CUDA", "no GPU here: everything runs on the processor")
    there = f"this machine has {count or 'an'} NVIDIA GPU{'s' if count > 1 else ''}"
    if facts.torch_cuda is None:
        return error(
            "CUDA",
            f"{there}, but torch {facts.torch_version} is a build without CUDA",
            "pip uninstall torch && pip install 'torch>=2.11,<2.14'\n(without an index of CPU builds)",
        )
    if facts.mask is not None and facts.mask.strip() in ("", "-1", "NoDevFiles"):
        return warn("CUDA", f"{there}, hidden by {VISIBLE}={facts.mask!r}", f"unset {VISIBLE}")
    if facts.driver_cuda and is_too_old(facts.driver_cuda, facts.torch_cuda):
        return error(
            "CUDA",
            f"{there}, but the driver runs CUDA {facts.driver_cuda} at most, and torch "
            f"{facts.torch_version} is built for {facts.torch_cuda}",
            "install a newer NVIDIA driver, or a torch that is built for an older CUDA",
        )
    why = f": {facts.said}" if facts.said else ""
    remedy = "nvidia-smi says more; in a container: docker run --gpus all …"
    return error("CUDA", f"{there}, but torch sees none of them{why}", remedy)


def is_too_old(driver: str, built_for: str) -> bool:
    """Whether the driver's major version is lower: within one, newer programs run on older drivers."""
    return Version(driver).major < Version(built_for).major


def gpu_findings(facts: CudaFacts) -> Iterator[Finding]:
    """CUDA as a whole, and each GPU that torch can use."""
    yield cuda_finding(facts)
    for index in range(facts.visible):
        yield one_gpu(index)
    if facts.visible > 1:
        yield peers(facts.visible)


def one_gpu(index: int) -> Finding:
    """Its name, memory and arithmetic."""
    import torch  # heavy

    properties = torch.cuda.get_device_properties(index)
    free, total = torch.cuda.mem_get_info(index)
    capability = f"{properties.major}.{properties.minor}"
    bf16 = properties.major >= 8
    detail = (
        f"{properties.name}, {size(free)} of {size(total)} free, compute capability "
        f"{capability}, {'bf16' if bf16 else 'no bf16'}"
    )
    if total - free > TAKEN_SHARE * total:
        taken = f"{detail}: other programs hold {size(total - free)}"
        return warn(f"GPU {index}", taken, "nvidia-smi names them")
    if not bf16:
        return warn(f"GPU {index}", detail, 'set train.precision = "fp32"')
    return ok(f"GPU {index}", detail)


def peers(count: int) -> Finding:
    """Whether GPUs read each other's memory without the host in between."""
    import torch  # heavy

    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    cut = [pair for pair in pairs if not torch.cuda.can_device_access_peer(*pair)]
    if not cut:
        return ok("GPU to GPU", f"all {count} read each other's memory")
    named = ", ".join(f"{a}-{b}" for a, b in cut[:4]) + ("…" if len(cut) > 4 else "")
    measure = f"torchrun --nproc-per-node {count} -m launch.doctor\ntimes it"
    return warn("GPU to GPU", f"no direct way between {named}: slower with several ranks", measure)


# ---- vLLM -------------------------------------------------------------------------------------------


def vllm_finding() -> Finding:
    """Whether vLLM is here, was made for our torch, and loads beside it. Whether it is needed is another check."""
    if find_spec("vllm") is None:
        return ok("vLLM", 'not installed here; only backend = "vllm" needs it')
    version, own_torch = installed("vllm") or "of unknown version", installed("torch") or ""
    asked = torch_of_vllm()
    if asked is not None and not asked.specifier.contains(own_torch, prereleases=True):
        return error(
            "vLLM",
            f"vLLM {version} was made for torch{asked.specifier}, here is {own_torch}",
            f"pip install 'vllm=={version}' again, or keep vLLM in an environment of its own: run its "
            "server there and name it with base_url",
        )
    spec = find_spec("vllm")
    places = spec.submodule_search_locations if spec else None
    problem = load_problem(sorted(Path(next(iter(places or ["."]))).glob("_C.*.so")))
    if problem:
        return error(
            "vLLM",
            f"vLLM {version} cannot be loaded beside torch {own_torch}: {problem}",
            "its wheel was compiled for another torch or CUDA: install the one for this CUDA",
        )
    return ok("vLLM", f"{version}, beside torch {own_torch}")


def torch_of_vllm() -> Requirement | None:
    """What the installed vLLM asks of torch, where it says."""
    from importlib.metadata import requires

    found = [Requirement(text) for text in requires("vllm") or []]
    ours = [r for r in found if r.name == "torch" and (not r.marker or r.marker.evaluate())]
    return ours[0] if ours else None


def load_problem(libraries: Sequence[Path]) -> str:
    """What the linker says of vLLM's compiled part beside our torch; empty where it loads. In a process of its own:
    a library that does not fit may end it."""
    for library in libraries:
        program = f"import ctypes, torch; ctypes.CDLL({str(library)!r})"
        try:
            done = subprocess.run(
                [sys.executable, "-c", program],
                capture_output=True,
                text=True,
                timeout=LOAD_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return f"{library.name} did not load within {LOAD_SECONDS} s"
        if done.returncode:
            said = done.stderr.strip().splitlines()
            return said[-1] if said else f"{library.name} ended the process"
    return ""
