"""Options of the export command. Imports nothing heavy, so that the command line's help appears at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from mobiledet.data.config import OnBadData

EXIT_INCOMPLETE = 3  # a bundle was written, but not with all files that were asked for

Format = Literal["tflite", "coreml", "coreai"]
Precision = Literal["float32", "float16", "int8-weights", "int8", "int16x8", "palette6", "w8a8"]
Ios = Literal[15, 16, 17, 18, 26]
Face = Literal["graph", "vision"]
PostProcess = Literal["graph", "custom-op", "none"]


@dataclass(frozen=True)
class ExportConfig:
    """Turn a checkpoint into a bundle: model files for phones, checked against PyTorch.

    Every file takes a raw RGB image and gives final boxes: normalisation, decoding and suppression are in its graph.
    Each file is run on real images and must find what PyTorch finds, or it is left out. There is no Core ML runtime
    outside Apple systems: those files are run by a reference interpreter, and the bundle says so. Core AI files are run
    in Apple's own runtime, on this machine's processor.

    A model card for people is written beside the bundle, NAME.card.md and .html; `mobiledet card` adds results to it.

    Ends with 0, with 3 if a bundle was written without some of its files, and with 2 if none was written.

    Examples:
      mobiledet export runs/coco/best.ckpt
      mobiledet export runs/coco/best.ckpt --format tflite --precision float16 --images pictures
      mobiledet export runs/coco/best.ckpt --out x.mobiledet --overwrite --nms-score 0.3 --max-detections 20
      mobiledet export x.mobiledet --app android apps/android
    """

    checkpoint: Positional[Path]
    """The checkpoint that `mobiledet train` wrote; with --app also a bundle, which is not converted again."""
    out: Path | None = None
    """Bundle folder to write; by default beside the checkpoint, best.ckpt becomes best.mobiledet."""
    formats: Annotated[tuple[Format, ...], arg(name="format", aliases=["--formats"])] = ("tflite", "coreml")
    """Kinds of model files. coreai is Apple's format from iOS and macOS 27 on, whose files are run here in Apple's own
    runtime; it is a beta, and so not among the defaults."""
    precisions: Annotated[tuple[Precision, ...], arg(name="precision", aliases=["--precisions"])] = ()
    """Precisions of every format, each format takes those it has; by default float32, float16 and int8 for tflite,
    float16 for coreml, float16 and float32 for coreai. TFLite: float32 and float16 run on CPU (in 32 bits) and GPU (in
    16); int8-weights is the smallest without calibration, computed in floats; int8 has 8-bit activations too, for NPUs
    and for CPUs with dot products; int16x8 has 16-bit activations, for NPUs that take them, and is slow on a CPU. Core
    ML: float16 computes in 16 bits up to the box decoding, which stays in 32; int8 has 8-bit weights, palette6 a
    palette of 64 weights for each layer, both computed in 16 bits; w8a8 has 8-bit activations too, for Neural Engines
    from A17 Pro and M4 on. Core AI: float32; float16 as for Core ML; int8-weights the same from 8-bit weights."""
    int8_input: Literal["float32", "uint8"] = "float32"
    """What a TFLite file of precision int8 takes: the same raw RGB image as floats or as bytes."""
    overwrite: bool = False
    """Replace the bundle if it exists."""
    app: tuple[Literal["android", "ios"], Path] | None = None
    """Also put the bundle into an app: the platform and the project's folder, such as `android apps/android`. The app
    gets the model files of its platform alone."""

    postprocess: PostProcess = "graph"
    """How TFLite files end. graph: decoding and exact suppression in LiteRT's own operations, boxes inside of the
    image. custom-op: TFLite_Detection_PostProcess, which LiteRT and MediaPipe bring; a smaller graph, on the CPU alone,
    and its boxes may leave the image. none: scores and offsets of all anchors, with the anchors appended as
    anchors.f32, for apps that decode by themselves; `mobiledet evaluate` and the apps cannot run these. Faster R-CNN
    has graph alone."""

    ios: Ios = 17
    """Oldest iOS that must run the Core ML packages; also macOS, two below it up to 15."""
    face: tuple[Face, ...] = ("graph", "vision")
    """Forms of each Core ML package. graph gives boxes, classes, scores and count, as a TFLite file does; vision gives
    VNRecognizedObjectObservations when an app runs it by Apple's Vision, and the preview of Xcode knows it."""

    on_bad_data: OnBadData | None = None
    """error: a damaged picture for the calibration, the comparison or the measurement stops the export; skip: it is
    passed over. By default as in training."""
    images: Path | None = None
    """Pictures for the comparison with PyTorch, such as validation images; by default those that --data names, else
    those of the training run if they are still there, else the built-in shapes."""
    parity_images: int = 8
    """How many of them."""

    judge: bool = True
    """Also run the TFLite files with TensorFlow's reference kernels, if TensorFlow is installed: what they find must be
    what LiteRT finds."""

    nms_iou: float | None = None
    """A box that overlaps a better one of its class by more than this is dropped; by default as in the checkpoint."""
    nms_score: float | None = None
    """Lowest score of a detection; by default as in the checkpoint. Evaluation of mAP wants it low, an app higher."""
    max_detections: int | None = None
    """Rows of the output; by default as in the checkpoint."""

    calibration: str | None = None
    """Where the images come from that show what values occur in the network, for precisions whose activations are
    integers: a folder of pictures or of a data set, `coco` for the training images of --data, `shapes` for those of
    the built-in set. By default the training images of the run that wrote the checkpoint, if they are still there,
    else those of --data, else built-in shapes. Never validation images."""
    calibration_images: int = 128
    """How many of them."""
    calibration_seed: int = 0
    """Which of them."""
    data: str | None = None
    """A folder of annotated images, or `shapes` for the built-in set: its validation part for --measure, its training
    part for --calibration coco. By default what the checkpoint was trained on; give it where that was moved."""

    measure: bool = True
    """Measure the mAP of every file, and of PyTorch, on the validation images of --data; it goes into the bundle. By
    default those of the training run, if they are still there."""
    measure_images: int = 200
    """Images for that, spread evenly over the validation set; 0 takes all."""
    max_map_drop: float = 0.02
    """A file that loses more mAP than this is left out, and the layers to blame are named."""
    force: bool = False
    """Ship files that lose more, and files of integers whose detections are not those of PyTorch, all the same."""
    strict: bool = False
    """Write no bundle if any file has to be left out, and end with 2. Without it the others are written, the last lines
    name those that are missing, and the exit status is 3."""
    debug_quantization: bool = False
    """Show what each layer of the smaller .tflite files loses against float32, and write it as tables and pictures
    beside the bundle, into NAME.quantization/."""


@dataclass(frozen=True)
class LintConfig:
    """Tell what will hold a TFLite or Core AI file up on a CPU, a GPU or an NPU, before it is shipped.

    Looks at every .tflite and .aimodel file of a bundle, at one such file whoever made it, or at the .tflite file that
    export would make of a checkpoint. Each finding says what it costs and what to do. How LiteRT divides the file
    between XNNPACK and its own kernels is asked of the runtime; TensorFlow's analyser is asked about GPUs where it is
    installed. Of a Core AI file it tells the forms that Apple's accelerators are known to compute wrongly.

    Ends with 0, or with 1 if there is a finding of the level --fail-on or above.

    Examples:
      mobiledet lint runs/coco/best.mobiledet
      mobiledet lint runs/coco/best.ckpt --fail-on slow
      mobiledet lint somebody-elses.tflite --json lint.json
    """

    path: Positional[Path]
    """A bundle, a .tflite or .aimodel file, or a checkpoint, which is converted to a float32 .tflite file first."""
    precision: tuple[str, ...] = ()
    """Only the files of these precisions; by default all of the bundle."""
    fail_on: Literal["note", "slow", "broken", "never"] = "broken"
    """Level from which on the command ends with 1. broken: a runtime refuses the file or part of it; slow: it runs, but
    costs time that can be saved; note: as designed, or a matter of the chosen precision."""
    json: Path | None = None
    """Also write the findings to this file."""
    analyzer: bool = True
    """Ask TensorFlow's analyser, which takes some seconds, if TensorFlow is installed."""
