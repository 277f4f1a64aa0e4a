"""Options of the export command. Imports nothing heavy, so that the command line's help appears at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from mobiledet.data.config import OnBadData
from mobiledet.recommended import MAX_DROP

EXIT_INCOMPLETE = 3  # a bundle was written, but some of the requested files are missing

Format = Literal["tflite", "coreml", "coreai"]
Precision = Literal["float32", "float16", "int8-weights", "int8", "int16x8", "palette6", "w8a8"]
Ios = Literal[15, 16, 17, 18, 26]
Face = Literal["graph", "vision"]
PostProcess = Literal["graph", "custom-op", "none"]


@dataclass(frozen=True)
class ExportConfig:
    """Turn a checkpoint into a bundle: model files for phones, checked against PyTorch.

    Every file takes a raw RGB image and returns final boxes: normalisation, box decoding and non-maximum suppression
    are part of its graph. Each file is run on real images; a file whose detections differ from PyTorch's is left out.
    There is no Core ML runtime outside Apple systems: those files are run by a reference interpreter, and the bundle
    says so. Core AI files are run in Apple's own runtime, on this machine's processor.

    A model card is written beside the bundle as NAME.card.md and NAME.card.html; `mobiledet card` adds results to it.

    Exit status: 0 if all files were written, 3 if a bundle was written without some of its files, 2 if no bundle was
    written.

    Examples:
      mobiledet export runs/coco/best.ckpt
      mobiledet export runs/coco/best.ckpt --format tflite --precision float16 --images pictures
      mobiledet export runs/coco/best.ckpt --out x.mobiledet --overwrite --nms-score 0.3 --max-detections 20
      mobiledet export x.mobiledet --app android apps/android
    """

    checkpoint: Positional[Path]
    """The checkpoint that `mobiledet train` or `mobiledet import` wrote, or the name of a published detector of
    `mobiledet zoo`, which is downloaded and imported on first use. With --app this may also be a bundle, which is
    copied without another conversion."""
    out: Path | None = None
    """Bundle folder to write. By default it lies beside the checkpoint: best.ckpt becomes best.mobiledet. For a
    published detector it is NAME.mobiledet in the current folder."""
    formats: Annotated[tuple[Format, ...], arg(name="format", aliases=["--formats"])] = ("tflite", "coreml")
    """Formats of the model files. coreai is Apple's format for iOS and macOS 27 and later; it is in beta and therefore
    not written by default."""
    precisions: Annotated[tuple[Precision, ...], arg(name="precision", aliases=["--precisions"])] = ()
    """Precisions to write; each format takes those that it supports. Defaults: float32, float16 and int8 for tflite,
    float16 for coreml, float16 and float32 for coreai. TFLite: float32 and float16 run on the CPU (in 32 bits) and on
    the GPU (in 16 bits); int8-weights is the smallest file that needs no calibration and computes in floats; int8 has
    8-bit activations too, for NPUs and for CPUs with dot-product instructions; int16x8 has 16-bit activations, for
    NPUs that support them, and is slow on a CPU. Core ML: float16 computes in 16 bits up to the box decoding, which
    uses 32 bits; int8 has 8-bit weights and palette6 a palette of 64 weights for each layer, and both compute in 16
    bits; w8a8 has 8-bit activations too, for Neural Engines from A17 Pro and M4 on. Core AI: float32; float16 as for
    Core ML; int8-weights, which computes in 16 bits from 8-bit weights."""
    int8_input: Literal["float32", "uint8"] = "float32"
    """Type of the raw RGB input of a TFLite file of precision int8."""
    overwrite: bool = False
    """Replace the bundle if it exists."""
    app: tuple[Literal["android", "ios"], Path] | None = None
    """Also copy the bundle into an app: the platform and the folder of the project, such as `android apps/android`.
    Only model files that this platform can run are copied."""

    postprocess: PostProcess = "graph"
    """Post-processing in TFLite files. graph: box decoding and exact non-maximum suppression in LiteRT's built-in
    operations; boxes are clipped to the image. custom-op: the operation TFLite_Detection_PostProcess, which LiteRT and
    MediaPipe include; the graph is smaller, this operation runs on the CPU only, and its boxes may reach beyond the
    image. none: the file returns scores and box offsets of all anchors, with the anchors appended as anchors.f32, for
    apps that decode by themselves; `mobiledet evaluate` and the apps cannot run such files. Faster R-CNN supports only
    graph."""

    ios: Ios = 17
    """Oldest iOS version that must run the Core ML packages. The macOS version of the same year runs them too: macOS
    12 to 15 for iOS 15 to 18, macOS 26 for iOS 26."""
    face: tuple[Face, ...] = ("graph", "vision")
    """Output interfaces of the Core ML packages; one package is written for each. graph returns boxes, classes, scores
    and count, like a TFLite file. vision returns VNRecognizedObjectObservation objects when an app runs it through
    Apple's Vision framework, and Xcode can preview it."""

    on_bad_data: OnBadData | None = None
    """What to do with a damaged image during calibration, comparison or measurement. error: stop the export; skip:
    leave the image out. By default as in training."""
    images: Path | None = None
    """Folder of images for the comparison with PyTorch, such as validation images. By default the validation images of
    --data, else those of the training run if they still exist, else images of the built-in shapes."""
    parity_images: int = 8
    """Number of images for the comparison with PyTorch."""

    judge: bool = True
    """Also run the TFLite files with TensorFlow's reference kernels, if TensorFlow is installed; their detections must
    agree with LiteRT's."""

    nms_iou: float | None = None
    """IoU threshold of non-maximum suppression: a box that overlaps a box of the same class with a higher score by more
    than this is dropped. By default as in the checkpoint."""
    nms_score: float | None = None
    """Lowest score of a detection. By default as in the checkpoint. Choose a low value for measuring mAP, a higher one
    for an app."""
    max_detections: int | None = None
    """Largest number of detections for an image. By default as in the checkpoint."""

    calibration: str | None = None
    """Source of the calibration images, for precisions with integer activations: a folder of images or of a data set,
    `coco` for the training images of --data, or `shapes` for those of the built-in set. By default the training images
    of the run that wrote the checkpoint if they still exist, else those of --data, else built-in shapes. Validation
    images are never used."""
    calibration_images: int = 128
    """Number of calibration images."""
    calibration_seed: int = 0
    """Random seed that selects the calibration images."""
    data: str | None = None
    """A folder of annotated images, or `shapes` for the built-in set. Its validation part is used by --measure, its
    training part by --calibration coco. By default the data that the checkpoint was trained on; needed if that was
    moved."""

    measure: bool = True
    """Measure the mAP of every file and of PyTorch on the validation images of --data, by default on those of the
    training run if they still exist, and store it in the bundle."""
    measure_images: int = 200
    """Number of validation images on which mAP is measured, spread evenly over the validation set; 0 uses all."""
    max_map_drop: float = MAX_DROP
    """Largest loss of mAP against PyTorch. A file that loses more is left out, and the layers that cause it are
    named."""
    force: bool = False
    """Also write files that lose more mAP than --max-map-drop, and integer files whose detections differ from
    PyTorch's."""
    strict: bool = False
    """Write no bundle, and exit with status 2, if any file has to be left out. Without this option the other files are
    written, the last lines of the output name the missing ones, and the exit status is 3."""
    debug_quantization: bool = False
    """Show the error of each layer of the quantised .tflite files against float32, and write it as tables and charts
    into the folder NAME.quantization beside the bundle."""


@dataclass(frozen=True)
class LintConfig:
    """Find what will slow down or break a TFLite or Core AI file on a CPU, a GPU or an NPU, before it is shipped.

    Checks every .tflite and .aimodel file of a bundle, a single file of any origin, or the .tflite file that export
    would make from a checkpoint. Each finding says what it costs and what to do. The LiteRT runtime itself reports
    how it divides the file between XNNPACK and its own kernels; TensorFlow's analyser reports what GPUs support, where
    TensorFlow is installed. For Core AI files, patterns that Apple's accelerators are known to compute wrongly are
    reported.

    Exit status: 0, or 1 if there is a finding of the level --fail-on or above.

    Examples:
      mobiledet lint runs/coco/best.mobiledet
      mobiledet lint runs/coco/best.ckpt --fail-on slow
      mobiledet lint somebody-elses.tflite --json lint.json
    """

    path: Positional[Path]
    """A bundle, a .tflite or .aimodel file, or a checkpoint, which is converted to a float32 .tflite file first."""
    precision: tuple[str, ...] = ()
    """Check only files of these precisions; by default all files of the bundle."""
    fail_on: Literal["note", "slow", "broken", "never"] = "broken"
    """Lowest level of a finding that makes the exit status 1. broken: a runtime refuses the file or part of it; slow:
    it runs, but more slowly than it could; note: as designed, or a consequence of the chosen precision."""
    json: Path | None = None
    """Also write the findings to this file."""
    analyzer: bool = True
    """Also run TensorFlow's analyser, if TensorFlow is installed; it takes a few seconds."""
