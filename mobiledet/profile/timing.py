"""Latencies of several .tflite files, measured in turn so that disturbances affect all of them."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from mobiledet.evaluation.latency import LatencyStats

WARMUP_ROUNDS = 5


def measure_in_turn(files: Mapping[str, Path], rounds: int, threads: int) -> dict[str, LatencyStats]:
    """Run every file once in each round, on random numbers; the order changes from round to round.

    Args:
        files: paths by name; each file has one input.
        rounds: number of timed rounds, after a few untimed ones.
        threads: number of CPU threads.
    """
    interpreters = {name: _load(path, threads) for name, path in files.items()}
    samples: dict[str, list[int]] = {name: [] for name in files}
    order = np.random.default_rng(0)
    for number in range(-WARMUP_ROUNDS, rounds):
        for name in order.permutation(list(files)).tolist():
            started = time.perf_counter_ns()
            interpreters[name].invoke()
            if number >= 0:
                samples[name].append(time.perf_counter_ns() - started)
    return {name: LatencyStats.of(times) for name, times in samples.items()}


def _load(path: Path, threads: int) -> Interpreter:
    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    (image,) = interpreter.get_input_details()
    values = np.random.default_rng(0).random(image["shape"], np.float32)
    interpreter.set_tensor(image["index"], values)
    return interpreter
