"""Runs TensorFlow's analyser for GPU compatibility of a file, in its own process, because it loads TensorFlow.

As a program: ``python -m mobiledet_converters.lint.analyzer FILE`` prints the analysis.
"""

import os
import re
import subprocess
import sys
from importlib.util import find_spec

from mobiledet_converters.lint.findings import Finding
from mobiledet_converters.lint.graph import FileGraph
from mobiledet_converters.process import ENVIRONMENT

NAME = "TensorFlow's analyser"
LIMIT_SECONDS = 300
COMPATIBLE = re.compile(r"looks compatible with GPU delegate on TFLite runtime version (\S+?)\.?\s")
WARNING = re.compile(r"GPU COMPATIBILITY WARNING:\s*(.*)")
NODES = re.compile(r"at nodes? ([\d, ]+)")


def run_analyzer(graph: FileGraph) -> Finding:
    """The finding of the analyser; if TensorFlow is not installed or fails, a finding that says so."""
    if find_spec("tensorflow") is None:
        return _not_run("TensorFlow is not installed")
    program = [sys.executable, "-m", "mobiledet_converters.lint.analyzer", str(graph.path)]
    try:
        done = subprocess.run(
            program,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_SECONDS,
            env={**os.environ, **ENVIRONMENT},
        )
    except subprocess.TimeoutExpired:
        return _not_run(f"it took more than {LIMIT_SECONDS} s")
    return read_analysis(done.stdout, graph) if done.returncode == 0 else _not_run("it failed")


def read_analysis(text: str, graph: FileGraph) -> Finding:
    """Parse the output of the analyser."""
    compatible = COMPATIBLE.search(text)
    if compatible:
        return Finding(
            NAME, "note", "GPU", f"compatible with the GPU delegate of {compatible.group(1)}", (), "nothing", "nothing"
        )
    warnings = list(dict.fromkeys(WARNING.findall(text)))
    if not warnings:
        return _not_run("its output does not mention GPUs")
    nodes = [int(number) for warning in warnings for found in NODES.findall(warning) for number in found.split(",")]
    named = [operation for operation in graph.operations if operation.index in nodes]
    where = tuple(f"{o.place or 'no module'} ({o.kind} #{o.index})" for o in named[:3])
    return Finding(
        NAME,
        "slow",
        "GPU",
        " ".join(warnings),
        where,
        "these operations run on the CPU",
        "see the other findings on the GPU",
    )


def _not_run(reason: str) -> Finding:
    return Finding(NAME, "note", "GPU", f"not run: {reason}", (), "unknown", "pip install tensorflow, and run again")


if __name__ == "__main__":
    import tensorflow

    tensorflow.lite.experimental.Analyzer.analyze(model_path=sys.argv[1], gpu_compatibility=True)
