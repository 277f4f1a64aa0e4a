"""Trains a detector of Ultralytics from its YAML and writes its float32 .tflite file; a process of ``real_data.py``.

It runs in an environment that has Ultralytics and nothing of this project, with that package's own defaults: random
weights, its augmentation, its optimiser, an evaluation after each epoch, the weights of the best one.

    python real_data_ultralytics.py MODEL.yaml DATA.yaml FOLDER --epochs N --batch-size N --side PIXELS --seed N
"""

import argparse
import shutil
from pathlib import Path

import ultralytics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--export-only", action="store_true")
    for name in ("--epochs", "--batch-size", "--side", "--seed"):
        parser.add_argument(name, type=int, required=True)
    arguments = parser.parse_args()

    best = arguments.folder / "train" / "weights" / "best.pt"
    if not arguments.export_only:
        ultralytics.YOLO(arguments.model).train(
            data=str(arguments.data),
            epochs=arguments.epochs,
            batch=arguments.batch_size,
            imgsz=arguments.side,
            seed=arguments.seed,
            device="cpu",
            project=str(arguments.folder),
            name="train",
            exist_ok=True,
            pretrained=False,
            plots=False,
        )
        return
    file = ultralytics.YOLO(str(best)).export(format="litert", imgsz=arguments.side, device="cpu")
    shutil.copyfile(file, arguments.folder / "model.tflite")


if __name__ == "__main__":
    main()
