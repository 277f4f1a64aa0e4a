"""Detectors trained from scratch on people's own pictures: mAP of the exported file against CPU minutes and latency.

Ours and the peers see the same pictures and boxes (the set is written once in YOLO's form), the same validation part,
input side, epochs, batch and seeds, each with the defaults of its own command. torchvision's SSDLite runs as a process;
Ultralytics in an environment of its own, which this makes under --out and never imports. All become float32 .tflite
files, and those are scored here, with one scorer: COCO's mAP. CPU minutes are those of the whole training, evaluations
and loading included. Latencies are of the files, taking turns on random numbers, on one thread: network and decoding;
suppression is outside of the file for all but yolo26n, which needs none.

A run that is done is not done again: each has a folder under --out. The interval is of a paired bootstrap over the
validation pictures, of the difference in mAP (ours less the peer's, mean over the seeds that both have).

    python benchmarks/real_data.py --out runs/cells --train-images BCCD/JPEGImages --val-images BCCD/JPEGImages \\
        --train-annotations BCCD/coco_train.json --val-annotations BCCD/coco_test.json
    python benchmarks/real_data.py --out runs/mine --data photos --seeds 0 1 2 --models ours yolo11n

Other settings of ours can stand among the peers, to find better defaults by measurement:

    python benchmarks/real_data.py --out runs/mine --data photos --models ours --variant "b8=--batch-size 8"
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from real_data_files import TORCHVISION, ULTRALYTICS, Read, found_by_ours, found_by_peer

from mobiledet.data.dataset import DetectionSet
from mobiledet.data.read import load_split
from mobiledet.detections import Detections
from mobiledet.devices.machine import cpu_name
from mobiledet.metrics.matches import Matches, match_detections
from mobiledet.metrics.resampled import average_precision, mean_average_precision
from mobiledet.overview.config import ConvertConfig
from mobiledet.overview.convert import run as convert
from mobiledet.profile.timing import measure_in_turn

HERE = Path(__file__).parent
RESAMPLES = 2000
PACKAGES = ("ultralytics", "torch", "torchvision", "litert-torch")  # of the peers' environment


@dataclass(frozen=True)
class Model:
    """A detector in the comparison.

    Attributes:
        options: of `mobiledet train`; only ours has any.
        script, first: of a peer: the file that trains it, and the argument before all others.
        is_apart: it runs in the peers' environment.
        read: how its file is read.
    """

    options: tuple[str, ...] = ()
    script: str = ""
    first: tuple[str, ...] = ()
    is_apart: bool = False
    read: Read | None = None


MODELS = {
    "ours": Model(options=("--backbone", "shufflenet_v2_1x")),
    "ssdlite320": Model(script="real_data_torchvision.py", read=TORCHVISION),
    "yolo11n": Model(script="real_data_ultralytics.py", first=("yolo11n.yaml",), is_apart=True, read=ULTRALYTICS),
    "yolo26n": Model(script="real_data_ultralytics.py", first=("yolo26n.yaml",), is_apart=True, read=ULTRALYTICS),
}


def main() -> None:
    arguments = arguments_of_command_line()
    arguments.out.mkdir(parents=True, exist_ok=True)
    variants = dict(text.split("=", 1) for text in arguments.variant)
    for name, options in variants.items():
        MODELS[name] = Model(options=(*MODELS["ours"].options, *options.split()))
    setting = {name: getattr(arguments, name) for name in ("epochs", "batch_size", "side", "ours")}
    keep_setting(arguments.out / "setting.json", setting)
    data = written_data(arguments)
    val_set = load_split(str(data), "val")
    runs: dict[str, dict[int, dict[str, Any]]] = {}
    for seed in arguments.seeds:
        for name in [*arguments.models, *variants]:
            runs.setdefault(name, {})[seed] = run_of(name, seed, data, val_set, arguments)
    summary = summarised(runs, val_set, arguments)
    summary |= {"setting": setting, "pictures": len(val_set.images), "cpu": cpu_name(), "cores": os.cpu_count()}
    (arguments.out / "real_data.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    draw(summary["models"], arguments.out / "real_data.png")
    print(table(summary))
    print(f"written: {arguments.out / 'real_data.json'}, {arguments.out / 'real_data.png'}")


def arguments_of_command_line() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", help="a folder of annotated images, in any format that `mobiledet train` reads")
    for name in ("--train-images", "--train-annotations", "--val-images", "--val-annotations"):
        parser.add_argument(name, type=Path, help="instead of --data; annotations are COCO JSON")
    parser.add_argument("--val-share", type=float, default=0.0, help="as in `mobiledet train`")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--ours", default="", help='more options of `mobiledet train`, such as "--devices 2"')
    parser.add_argument(
        "--variant", action="append", default=[], metavar="NAME=OPTIONS", help="ours with more options, under a name"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=100, help="rounds of the latency measurement")
    arguments = parser.parse_args()
    given = (
        arguments.train_images,
        arguments.train_annotations,
        arguments.val_images,
        arguments.val_annotations,
    )
    if bool(arguments.data) == any(given) or any(given) != all(given):
        parser.error("give --data, or all of --train-images, --train-annotations, --val-images and --val-annotations")
    for text in arguments.variant:
        name, equals, _ = text.partition("=")
        if not name or not equals or name in MODELS:
            parser.error(f"--variant {text}: give NAME=OPTIONS, with a name that no model has")
    arguments.out = arguments.out.absolute()
    return arguments


def keep_setting(path: Path, setting: dict[str, Any]) -> None:
    """Refuse to mix runs of different settings in one folder."""
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != setting:
        raise SystemExit(
            f"{path} is of another setting: {path.read_text(encoding='utf-8').strip()}; choose another --out"
        )
    path.write_text(json.dumps(setting) + "\n", encoding="utf-8")


def written_data(arguments: argparse.Namespace) -> Path:
    """The set in YOLO's form, as all see it."""
    folder: Path = arguments.out / "data"
    if not folder.exists():
        source = arguments.data or str(coco_folder(arguments))
        convert(ConvertConfig(source=source, out=folder, to="yolo", val_share=arguments.val_share))
        described = folder / "data.yaml"  # Ultralytics takes a relative path for one of its own folders
        text = described.read_text(encoding="utf-8").replace("path: .\n", f"path: {folder}\n")
        described.write_text(text, encoding="utf-8")
    return folder


def coco_folder(arguments: argparse.Namespace) -> Path:
    """Pictures and JSON files of the options in COCO's layout, by links."""
    folder: Path = arguments.out / "source"
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    for part in ("train", "val"):
        for link, target in (
            (folder / f"{part}2017", getattr(arguments, f"{part}_images")),
            (folder / "annotations" / f"instances_{part}2017.json", getattr(arguments, f"{part}_annotations")),
        ):
            if not link.exists():
                link.symlink_to(target.absolute())
    return folder


def run_of(name: str, seed: int, data: Path, val_set: DetectionSet, arguments: argparse.Namespace) -> dict[str, Any]:
    """The result of a run, which is trained, exported and scored now unless this was done before."""
    folder: Path = arguments.out / "runs" / f"{name}-{seed}"
    result = folder / "result.json"
    if not result.exists():
        trained = folder / "trained.json"
        if not trained.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a run that was stopped
            folder.mkdir(parents=True)
            print(f"{name}, seed {seed}: training", flush=True)
            spent = timed(command(name, seed, data, folder, arguments), folder / "train.log")
            trained.write_text(json.dumps({**spent, "options": MODELS[name].options}) + "\n", encoding="utf-8")
        print(f"{name}, seed {seed}: export and score", flush=True)
        found = exported_and_found(name, seed, data, folder, val_set, arguments)
        save_found(folder / "found.npz", found)
        ap = average_precision(matched(val_set, found))
        scores = {"mAP": mean_average_precision(ap)[0], "AP50": mean_average_precision(ap[:, :1])[0]}
        cost: dict[str, Any] = json.loads(trained.read_text(encoding="utf-8"))
        result.write_text(json.dumps({**cost, **scores}) + "\n", encoding="utf-8")
    record: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if tuple(record["options"]) != MODELS[name].options:
        raise SystemExit(f"{result} is of other options: {' '.join(record['options'])}; choose another name")
    return {**record, "folder": str(folder)}


def command(name: str, seed: int, data: Path, folder: Path, arguments: argparse.Namespace) -> list[str]:
    """The command of the training."""
    model = MODELS[name]
    numbers = ["--epochs", str(arguments.epochs), "--batch-size", str(arguments.batch_size), "--seed", str(seed)]
    if model.script:
        python = peers_python(arguments.out) if model.is_apart else sys.executable
        where = str(data / "data.yaml") if model.is_apart else str(data)
        script = [str(HERE / model.script), *model.first, where, str(folder)]
        return [str(python), *script, *numbers, "--side", str(arguments.side)]
    own = ["--data", str(data), "--image-size", str(arguments.side), "--out", str(folder / "run")]
    return [sys.executable, "-m", "mobiledet.cli", "train", *own, *numbers, *model.options, *arguments.ours.split()]


def timed(arguments: Sequence[str], log: Path) -> dict[str, float]:
    """Run a command to its end; minutes of the processors, of all its processes, and of the clock."""
    begun = time.monotonic()
    with log.open("w") as file:
        process = subprocess.Popen(arguments, stdout=file, stderr=subprocess.STDOUT, env=environment(log.parent))
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}: {' '.join(last)}; see {log}")
    return {
        "cpu_minutes": (usage.ru_utime + usage.ru_stime) / 60,
        "minutes": (time.monotonic() - begun) / 60,
    }


def environment(folder: Path) -> dict[str, str]:
    """Ultralytics keeps its settings apart and asks no server."""
    (folder / "settings").mkdir(exist_ok=True)
    return {
        **os.environ,
        "YOLO_CONFIG_DIR": str(folder / "settings"),
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
    }


def peers_python(out: Path) -> Path:
    """The interpreter of the peers' environment, which is made at first, with the tested versions of torch."""
    folder = out / "peers"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        print("the peers' environment is made", flush=True)
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or "uv"
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        constraints = ["--constraint", str(HERE.parent / "constraints.txt")]
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *constraints, *PACKAGES], check=True)
        ready.write_text("")
    return python


def exported_and_found(
    name: str, seed: int, data: Path, folder: Path, val_set: DetectionSet, arguments: argparse.Namespace
) -> list[Detections]:
    """Write the float32 file of a run, and its detections on the validation images."""
    model = MODELS[name]
    if model.read is not None:
        timed([*command(name, seed, data, folder, arguments), "--export-only"], folder / "export.log")
        return found_by_peer(folder / "model.tflite", model.read, val_set.images, arguments.side, len(val_set.labels))
    bundle, best = folder / "ours.mobiledet", folder / "run" / "best.ckpt"
    options = ["--format", "tflite", "--precision", "float32", "--overwrite"]
    export = [sys.executable, "-m", "mobiledet.cli", "export", str(best), *options, "--out", str(bundle)]
    timed(export, folder / "export.log")
    (file,) = bundle.glob("*.tflite")
    shutil.copyfile(file, folder / "model.tflite")
    return found_by_ours(bundle, val_set.images)


def save_found(path: Path, found: Sequence[Detections]) -> None:
    np.savez_compressed(
        path,
        counts=np.array([len(detections) for detections in found]),
        boxes=np.concatenate([detections.boxes_xyxy for detections in found]),
        scores=np.concatenate([detections.scores for detections in found]),
        labels=np.concatenate([detections.labels for detections in found]),
    )


def load_found(path: Path) -> list[Detections]:
    stored = np.load(path)
    ends = np.cumsum(stored["counts"])[:-1]
    columns = (np.split(stored[name], ends) for name in ("boxes", "scores", "labels"))
    return [Detections(*parts) for parts in zip(*columns, strict=True)]


def matched(val_set: DetectionSet, found: Sequence[Detections]) -> Matches:
    by_image = {image.id: detections for image, detections in zip(val_set.images, found, strict=True)}
    return match_detections(val_set.labels, val_set.truth(), by_image)


def summarised(
    runs: dict[str, dict[int, dict[str, Any]]], val_set: DetectionSet, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Means over seeds, latencies, and the differences from the peers with their intervals."""
    first = {name: Path(next(iter(of_seed.values()))["folder"]) / "model.tflite" for name, of_seed in runs.items()}
    latencies = measure_in_turn(first, arguments.rounds, threads=1)
    images = len(val_set.images)
    weights = np.random.default_rng(0).multinomial(images, np.full(images, 1 / images), RESAMPLES).astype(np.int16)
    drawn = {
        (name, seed): mean_average_precision(
            average_precision(matched(val_set, load_found(Path(run["folder"]) / "found.npz")), weights)
        )
        for name, of_seed in runs.items()
        for seed, run in of_seed.items()
    }

    def mean(name: str, key: str) -> float:
        return float(np.mean([run[key] for run in runs[name].values()]))

    models: dict[str, dict[str, Any]] = {
        name: {
            "mAP": mean(name, "mAP"),
            "mAP_of_seeds": {seed: run["mAP"] for seed, run in of_seed.items()},
            "AP50": mean(name, "AP50"),
            "cpu_minutes": mean(name, "cpu_minutes"),
            "minutes": mean(name, "minutes"),
            "latency_ms": latencies[name].p50_ms,
            "size_mb": first[name].stat().st_size / 1e6,
        }
        for name, of_seed in runs.items()
    }
    differences = {}
    for peer in [name for name in runs if name != "ours" and "ours" in runs]:
        seeds = [seed for seed in runs["ours"] if seed in runs[peer]]
        ours, theirs = (np.mean([drawn[name, seed] for seed in seeds], axis=0) for name in ("ours", peer))
        low, high = np.nanquantile(ours - theirs, [0.025, 0.975]).tolist()
        differences[peer] = {"mAP": models["ours"]["mAP"] - models[peer]["mAP"], "low": low, "high": high}
    return {"models": models, "ours_less_peer": differences}


def table(summary: dict[str, Any]) -> str:
    """The summary as a Markdown table."""
    lines = [
        "| model | mAP | of the seeds | AP50 | CPU minutes | latency, ms | MB | ours less this, 95 % interval |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, model in summary["models"].items():
        seeds = " ".join(f"{value:.3f}" for value in model["mAP_of_seeds"].values())
        apart = summary["ours_less_peer"].get(name)
        interval = f"{apart['mAP']:+.3f} ({apart['low']:+.3f} to {apart['high']:+.3f})" if apart else ""
        lines.append(
            f"| {name} | {model['mAP']:.3f} | {seeds} | {model['AP50']:.3f} | {model['cpu_minutes']:.1f} | "
            f"{model['latency_ms']:.2f} | {model['size_mb']:.1f} | {interval} |"
        )
    return "\n".join(lines)


def draw(models: dict[str, Any], path: Path) -> None:
    """mAP against minutes of training, and against latency; a point for each seed's mAP."""
    figure = Figure(figsize=(10, 4.2), dpi=200)
    canvas = FigureCanvasAgg(figure)
    for place, (key, title) in enumerate((("cpu_minutes", "CPU minutes of training"), ("latency_ms", "latency, ms"))):
        chart = figure.add_subplot(1, 2, place + 1)
        for name, model in models.items():
            seeds = list(model["mAP_of_seeds"].values())
            (line,) = chart.plot([model[key]], [model["mAP"]], "o", label=name)
            chart.plot([model[key]] * len(seeds), seeds, "_", color=line.get_color(), markersize=12)
        chart.set_xlim(0, 1.1 * max(model[key] for model in models.values()))
        chart.set_xlabel(title)
        chart.set_ylabel("mAP of the .tflite file")
        chart.grid(color="#e3e4e8")
        chart.spines[["top", "right"]].set_visible(False)
    chart.legend(frameon=False, loc="center left")
    figure.tight_layout()
    canvas.print_png(path)


if __name__ == "__main__":
    main()
