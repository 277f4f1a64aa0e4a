"""Trains a detector of Ultralytics from its YAML and writes its float32 .tflite file; a process of ``real_data.py``.

It runs in an environment that has Ultralytics and nothing of this project, with that package's own defaults: random
weights, its augmentation, its optimiser, an evaluation after each epoch, the weights of the best one.

    python real_data_ultralytics.py MODEL.yaml DATA.yaml FOLDER --epochs N --batch-size N --side PIXELS --seed N
"""

import shutil

import ultralytics
from real_data_arguments import peer_arguments


def main() -> None:
    arguments = peer_arguments(__doc__, ("model",))

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
