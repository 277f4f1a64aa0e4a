"""How much longer an evaluation takes through an agent on this machine than in process.

    python benchmarks/agent_overhead.py BUNDLE --data DATA [--images 500] [--turns 3] [--threads 1]

Both sides run the same file over the same images with the same number of threads, in turns: decoding, resizing, the
model and the detections, without the scoring, which is the same. The agent runs in a process of its own; the time to
bring the bundle there and to load it is left out, as it is in process. The detections must be equal.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mobiledet.bundle import open_bundle
from mobiledet.data.coco import load_split
from mobiledet.devices import open_device
from mobiledet.devices.base import Frame, Session

TOLERANCE = 1e-4


@contextmanager
def agent() -> Iterator[tuple[str, str]]:
    """URL and token of an agent of this installation."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "mobiledet.cli", "agent", "--cache", cache]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(4)]
        try:
            yield lines[0].split()[1].rstrip(","), lines[1].split()[1]
        finally:
            process.terminate()
            process.wait()


def timed(session: Session, images: Sequence[Path]) -> tuple[float, list[Frame]]:
    """Seconds and what was found."""
    started = time.perf_counter()
    frames = list(session.detect(images))
    return time.perf_counter() - started, frames


def largest_difference(a: Sequence[Frame], b: Sequence[Frame]) -> float:
    """Of any coordinate in pixels, or of any score; classes must be the same."""
    worst = 0.0
    for left, right in zip(a, b, strict=True):
        if not np.array_equal(left.detections.labels, right.detections.labels):
            return float("inf")
        for name in ("boxes_xyxy", "scores"):
            difference = getattr(left.detections, name) - getattr(right.detections, name)
            worst = max(worst, float(np.abs(difference).max(initial=0)))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    bundle = open_bundle(options.bundle)
    file = bundle.select()
    images = [image.path for image in load_split(options.data, options.split).images[: options.images]]
    with agent() as (url, token):
        sessions = {}
        for name, device in (("in process", open_device("local")), ("agent", open_device(url, token))):
            sessions[name] = device.load(bundle, file, threads=options.threads)
            sessions[name].golden()
        for session in sessions.values():
            timed(session, images[:50])
        seconds: dict[str, list[float]] = {name: [] for name in sessions}
        frames = {}
        for _ in range(options.turns):
            for name, session in sessions.items():
                spent, frames[name] = timed(session, images)
                seconds[name].append(spent)
        sessions.clear()
    best = {name: min(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        print(f"{name:>10}: {len(images) / best[name]:.1f} images/s, {', '.join(f'{v:.3f}' for v in values)} s")
    print(f"ratio of the fastest turns: {best['agent'] / best['in process']:.3f}")
    difference = largest_difference(frames["in process"], frames["agent"])
    print(f"largest difference of a coordinate (pixels) or score: {difference:.2g}")
    sys.exit(difference > TOLERANCE)


if __name__ == "__main__":
    main()
