"""Peers measured in one run: each in a process of its own, as its users have it, taking turns step by step."""

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch

Step = Callable[[], None]


@dataclass(frozen=True)
class Measured:
    """Of one peer.

    Attributes:
        step_s: median seconds of a step.
        peak_memory_bytes: largest resident memory of its process.
    """

    step_s: float
    peak_memory_bytes: int


def take_turns(
    peers: Mapping[str, Callable[[], Step]], steps: int, threads: int, warm_up: int = 3
) -> dict[str, Measured]:
    """Let every peer do one step after the other, so that the machine's moods hit all.

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
    for process in processes:
        process.join()
    return {name: Measured(statistics.median(taken), memory[name]) for name, taken in seconds.items()}


def print_training(measured: dict[str, Measured], batch_size: int) -> None:
    """A line for each peer, and how many times as many images the last one trains as the first."""
    for name, peer in measured.items():
        speed, memory = batch_size / peer.step_s, peer.peak_memory_bytes / 1e9
        print(f"{name:>12}: {peer.step_s * 1000:7.1f} ms a step, {speed:6.1f} images/s, peak memory {memory:.2f} GB")
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
