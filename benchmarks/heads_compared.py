"""Compares mAP and latency of two heads on one backbone, to choose the default of `mobiledet train`.

Both are trained on the same images for the same epochs with the defaults of `mobiledet train`, over several seeds, from
random weights. A run that is done is not done again: results stand in results.jsonl of --out. Latency is that of the
exported float32 file for 80 classes at 320 pixels on one thread, both taking turns.

    python benchmarks/heads_compared.py --out runs/heads --data shapes --images 2000 --epochs 20
    python benchmarks/heads_compared.py --out runs/heads --data blood --train BCCD/coco_train.json \\
        --val BCCD/coco_test.json --pictures BCCD/JPEGImages --epochs 40
"""

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflite import compare, exported, folder_of

from mobiledet.data.shapes import shapes_folder
from mobiledet.options import NO_OPTIONS, NanoDetPlusOptions
from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import train


@dataclass(frozen=True)
class Head:
    """A detector and its options, as on the command line."""

    detector: str
    detector_options: tuple[str, ...] = ()
    backbone_options: tuple[str, ...] = ()


HEADS = {
    "ssdlite_fpn": Head("ssdlite_fpn"),
    "nanodet_plus": Head("nanodet_plus", ('activation="relu"',)),
    "nanodet_plus, without guidance": Head("nanodet_plus", ('activation="relu"', "guidance=false")),
    "nanodet_plus, leaky": Head("nanodet_plus", (), ('activation="leaky_relu"',)),
}


def settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of ``TrainConfig`` for the data."""
    if arguments.data == "shapes":
        return {"data": str(shapes_folder(arguments.images, 200))}
    return {
        "train_images": arguments.pictures,
        "train_annotations": arguments.train,
        "val_images": arguments.pictures,
        "val_annotations": arguments.val,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=["ssdlite_fpn", "nanodet_plus"])
    parser.add_argument("--backbone", default="shufflenet_v2_1x")
    parser.add_argument("--data", default="shapes", help="shapes, or a name for the set of the three options below")
    parser.add_argument("--train", type=Path)
    parser.add_argument("--val", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--images", type=int, default=2000, help="number of generated images of shapes")
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument(
        "--ema-decay",
        type=float,
        default=0.998,
        help="decay of the moving average of weights; short runs need a lower one",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=100, help="rounds of the latency measurement; 0 skips it")
    arguments = parser.parse_args()

    arguments.out.mkdir(parents=True, exist_ok=True)
    log = arguments.out / "results.jsonl"
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    names = ("backbone", "data", "images", "side", "epochs", "batch_size", "ema_decay")
    setting = {name: getattr(arguments, name) for name in names}
    for seed in arguments.seeds:
        for name in arguments.heads:
            key = {**setting, "head": name, "seed": seed}
            if any(key.items() <= record.items() for record in done):
                continue
            head = HEADS[name]
            config = TrainConfig(
                **settings(arguments),
                backbone=arguments.backbone,
                detector=head.detector,
                detector_options=head.detector_options,
                backbone_options=head.backbone_options,
                image_size=arguments.side,
                epochs=arguments.epochs,
                eval_every=arguments.epochs,
                batch_size=arguments.batch_size,
                ema_decay=arguments.ema_decay,
                seed=seed,
                workers=0,
                out=arguments.out / f"run-{len(done)}",
            )
            result = train(config, quiet=False)
            record = {**key, "mAP": result.metrics.AP, "AP50": result.metrics.AP50, "seconds": result.seconds}
            done.append(record)
            with log.open("a") as file:
                file.write(json.dumps(record) + "\n")
    for name in arguments.heads:
        of_head = [r for r in done if {**setting, "head": name}.items() <= r.items()]
        values = [record["mAP"] for record in of_head]
        spread = statistics.stdev(values) if len(values) > 1 else float("nan")
        print(f"{name:>32}: mAP {statistics.mean(values):.4f}, deviation {spread:.4f}, {len(values)} seeds: {values}")
    if arguments.rounds:
        with folder_of(arguments.out / "files") as folder:
            files = {}
            for name in arguments.heads:
                own = folder / name.replace(", ", "-").replace(" ", "_")
                own.mkdir(exist_ok=True)
                is_nanodet = HEADS[name].detector == "nanodet_plus"
                options = NanoDetPlusOptions(activation="relu") if is_nanodet else NO_OPTIONS
                graphs = exported(arguments.backbone, HEADS[name].detector, own, detector_options=options)
                files[name] = graphs["graph"]
            compare(files, arguments.rounds)


if __name__ == "__main__":
    main()
