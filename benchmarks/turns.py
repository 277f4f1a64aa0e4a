"""Measures peers in one run: each in its own process, with its own defaults, taking turns step by step."""

import itertools
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NamedTuple

import torch
from torch import Tensor, nn

Step = Callable[[], None]


class Trained(NamedTuple):
    """A network and what a training step of it minimises.

    Attributes:
        model: in training mode.
        losses: of a fixed batch, by name; their sum is minimised.
    """

    model: nn.Module
    losses: Callable[[], Mapping[str, Tensor]]

    def step(self, fused: bool) -> Step:
        """A step of SGD; ``fused`` as in PyTorch's optimiser."""
        optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9, fused=fused)

        def step() -> None:
            optimizer.zero_grad()
            torch.stack(list(self.losses().values())).sum().backward()
            optimizer.step()

        return step


@dataclass(frozen=True)
class Measured:
    """The measurements of one peer.

    Attributes:
        step_s: median seconds of a step.
        peak_memory_bytes: largest resident memory of its process, what the C library keeps for later included.
        peak_tensor_bytes: largest sum of the tensors that a step makes, beyond what is there between steps.
    """

    step_s: float
    peak_memory_bytes: int
    peak_tensor_bytes: int


def take_turns(
    peers: Mapping[str, Callable[[], Step]], steps: int, threads: int, warm_up: int = 3
) -> dict[str, Measured]:
    """Let the peers take turns, one step each, so that disturbances affect all of them.

    Args:
        peers: makers of the step, by name; picklable, each is called in the peer's process.
        steps: timed ones of each.
        threads: of each process.
        warm_up: steps before those.
    """
    context = multiprocessing.get_context("spawn")
    processes, lines = [], {}
    for name, make in peers.items():
        lines[name], theirs = context.Pipe()
        processes.append(context.Process(target=_serve, args=(make, threads, theirs), daemon=True))
        processes[-1].start()
    for line in lines.values():
        line.recv()  # ready
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    memory = {}
    for turn in range(warm_up + steps):
        for name, line in lines.items():
            line.send(True)
            taken, memory[name] = line.recv()
            if turn >= warm_up:
                seconds[name].append(taken)
    for line in lines.values():
        line.send(False)
    tensors = {name: line.recv() for name, line in lines.items()}
    for process in processes:
        process.join()
    return {name: Measured(statistics.median(taken), memory[name], tensors[name]) for name, taken in seconds.items()}


def print_training(measured: dict[str, Measured], batch_size: int) -> None:
    """Print a line for each peer, and the ratio of the throughputs of the last and the first."""
    for name, peer in measured.items():
        speed, memory = batch_size / peer.step_s, peer.peak_memory_bytes / 1e9
        print(
            f"{name:>12}: {peer.step_s * 1000:7.1f} ms a step, {speed:6.1f} images/s, peak memory {memory:.2f} GB, "
            f"{peer.peak_tensor_bytes / 1e6:.0f} MB of it a step's tensors"
        )
    peers = list(measured)
    ratio = measured[peers[0]].step_s / measured[peers[-1]].step_s
    print(f"{peers[-1]} trains {ratio:.2f} times as many images a second as {peers[0]}")


def _serve(make: Callable[[], Step], threads: int, line: Connection) -> None:
    torch.set_num_threads(threads)
    step = make()
    line.send(True)
    while line.recv():
        begun = time.perf_counter()
        step()
        taken = time.perf_counter() - begun
        line.send((taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
    line.send(_peak_tensor_bytes(step))


def _peak_tensor_bytes(step: Step) -> int:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    changes = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = itertools.accumulate(event.nbytes() for event in sorted(changes, key=lambda event: event.start_ns()))
    return max(held)
