"""How fast the ranks add up: an all-reduce, timed from small to large, and whether its sum is right.

    torchrun --nproc-per-node N -m launch.doctor      → a line a size: time, bus bandwidth

Small sizes show the latency of one operation, large ones what the wires carry. Bus bandwidth is 2 (n-1)/n times the
tensor's bytes per second: the figure of NCCL's own tests, which for a good algorithm does not depend on n, the ranks.
NCCL between GPUs, gloo on processors: the same groups that training uses.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from engine.parallel import World, start_world
from launch.doctor_finding import Finding, ok, warn

KIB, MIB, GIB = 2**10, 2**20, 2**30
SIZES = {
    "cpu": (KIB, 64 * KIB, MIB, 16 * MIB, 64 * MIB),
    "cuda": (KIB, MIB, 16 * MIB, 256 * MIB, GIB),
}
"""Bytes of the tensor, as fp32."""
WARM_UP, FEWEST, MOST = 2, 3, 50
SECONDS_A_SIZE = 0.3
PATIENCE_SECONDS = 90.0
SLOW_BYTES_PER_SECOND = {"cpu": 0.2e9, "cuda": 5e9}
"""Bus bandwidth of the largest size below which training waits for its wires."""

STUCK = """\
error: the ranks have waited {seconds:.0f} s for each other ({doing}).
  Between machines: does every one reach MASTER_ADDR and MASTER_PORT, and is NCCL_SOCKET_IFNAME
  (GLOO_SOCKET_IFNAME) the interface that connects them? On one machine: is /dev/shm large enough?
  NCCL_DEBUG=INFO shows where NCCL stands."""


@dataclass(frozen=True)
class Timing:
    """One size: the mean seconds of an all-reduce, over ranks the slowest."""

    num_bytes: int
    seconds: float
    world_size: int

    @property
    def bus_bytes_per_second(self) -> float:
        """What each wire carries; 0 where there is only one rank."""
        share = 2 * (self.world_size - 1) / self.world_size
        return share * self.num_bytes / self.seconds


def time_ranks() -> list[Finding]:
    """All sizes, printed by rank 0; the findings are those of the whole, the same on every rank."""
    with watched("to form a group"), start_world() as world:
        places = gathered(f"{socket.gethostname()} {device_name(world)}", world)
        world.say(f"{world.size} ranks, {backend_of(world)}: {', '.join(dict.fromkeys(places))}\n")
        world.say(f"{'size':>10}{'time':>14}{'bus bandwidth':>18}")
        timings = []
        for num_bytes in SIZES[world.device.type]:
            with watched(f"to add up {size(num_bytes)}"):
                timings.append(time_size(num_bytes, world))
            world.say(line(timings[-1]))
        return list(judge(timings, world.device.type))


def time_size(num_bytes: int, world: World) -> Timing:
    """One size. Raises ValueError where the sum is wrong: then nothing that is trained here can be trusted."""
    values = torch.full((num_bytes // 4,), float(world.rank + 1), device=world.device)
    dist.all_reduce(values)
    expected = world.size * (world.size + 1) / 2
    if not bool((values == expected).all()):
        raise ValueError(
            f"rank {world.rank} ({socket.gethostname()}): the sum over ranks is wrong, {values.min().item():g} to "
            f"{values.max().item():g} in place of {expected:g}; with NCCL, try NCCL_P2P_DISABLE=1"
        )
    values.zero_()  # sums of sums would overflow
    for _ in range(WARM_UP):
        dist.all_reduce(values)
    first = slowest(mean_seconds(values, world, 1), world)
    # From the slowest rank's time: all ranks must repeat equally often, or they wait for each other for ever.
    repeats = max(FEWEST, min(MOST, int(SECONDS_A_SIZE / max(first, 1e-6))))
    return Timing(num_bytes, slowest(mean_seconds(values, world, repeats), world), world.size)


def mean_seconds(values: torch.Tensor, world: World, repeats: int) -> float:
    """Of one all-reduce, as this rank sees it."""
    started = time.perf_counter()
    for _ in range(repeats):
        dist.all_reduce(values)
    if world.device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / repeats


def slowest(seconds: float, world: World) -> float:
    """The largest of all ranks' figures."""
    figure = torch.tensor([seconds], device=world.device)
    dist.all_reduce(figure, op=dist.ReduceOp.MAX)
    return float(figure.item())


def judge(timings: list[Timing], device_type: str) -> Iterator[Finding]:
    """What the figures mean."""
    largest = timings[-1]
    if largest.world_size == 1:
        yield warn(
            "all-reduce",
            "one rank has nobody to talk to",
            "torchrun --nproc-per-node N -m launch.doctor",
        )
        return
    speed = largest.bus_bytes_per_second
    detail = f"{speed / 1e9:.2f} GB/s on the bus, {1e6 * timings[0].seconds:.0f} µs for a small one; sums are right"
    if speed < SLOW_BYTES_PER_SECOND[device_type]:
        advice = (
            "NVLink carries hundreds of GB/s, PCIe 10 to 25, InfiniBand 20 to 50, Ethernet 1 to 10"
        )
        yield warn("all-reduce", detail, advice)
    else:
        yield ok("all-reduce", detail)


def line(timing: Timing) -> str:
    """`16 MiB      3.21 ms      5.23 GB/s`."""
    milliseconds = f"{1e3 * timing.seconds:.3f} ms"
    bandwidth = f"{timing.bus_bytes_per_second / 1e9:.2f} GB/s" if timing.world_size > 1 else "-"
    return f"{size(timing.num_bytes):>10}{milliseconds:>14}{bandwidth:>18}"


def size(num_bytes: int) -> str:
    """`64 MiB`."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB")):
        if num_bytes >= unit:
            return f"{num_bytes // unit} {name}"
    return f"{num_bytes // KIB} KiB"


def gathered(text: str, world: World) -> list[str]:
    """The texts of all ranks."""
    texts: list[str] = [""] * world.size
    dist.all_gather_object(texts, text)
    return texts


def backend_of(world: World) -> str:
    """Who carries the tensors."""
    return "NCCL" if world.device.type == "cuda" else "gloo"


def device_name(world: World) -> str:
    """What a rank computes on."""
    return (
        torch.cuda.get_device_name(world.device) if world.device.type == "cuda" else "(processor)"
    )


@contextmanager
def watched(doing: str) -> Iterator[None]:
    """Ends the process, in words, where a collective waits too long: they wait for ever by themselves."""

    def give_up() -> None:
        print(STUCK.format(seconds=PATIENCE_SECONDS, doing=doing), file=sys.stderr, flush=True)
        os._exit(2)

    timer = threading.Timer(PATIENCE_SECONDS, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
