"""Options of evaluate, thresholds, report and predict. Imports nothing heavy, so that their help appears at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from mobiledet.data.config import DataOptions, Exif
from mobiledet.devices.options import ANY_PHONE, InputMode, PhoneOptions


@dataclass(frozen=True, kw_only=True)
class ScoredImages(DataOptions):
    """Which images a bundle is scored on; the same options in every command that scores."""

    data: str | None = None
    """A folder of annotated images (see --data-format), or `shapes` for the built-in set."""
    split: str = "val"
    """Part of --data to use: val (the part that --val-set names), train, or another one that exists, such as test."""
    images: Path | None = None
    """Folder of images, instead of --data; needs --annotations."""
    annotations: Path | None = None
    """COCO JSON file with the annotations of --images."""
    limit: int = 0
    """Use only the first N images; 0 uses all. Reports never draw results of different image lists on one axis."""
    exif: Literal["bundle", Exif] = "bundle"
    """Whether images are rotated by their EXIF orientation. apply: always; ignore: never; auto: unless the image size
    in the annotations shows that they describe the image as stored; bundle: as in training."""


@dataclass(frozen=True)
class EvaluateConfig(ScoredImages):
    """Measure an exported file of a bundle on a device: COCO mAP, latency, cold start and memory.

    First the device runs the bundle's golden inputs; a runtime whose detections differ is refused. Then latency is
    measured: warm-up, timed runs, and cold starts in fresh processes. Then the file runs on the validation images, and
    its detections are scored by COCO's rules. At the end the golden inputs are run again. Everything, raw samples
    included, is written to one JSON file, which `mobiledet report` draws.

    The result also recommends score thresholds: for every class the one with the best F1, and those that satisfy
    --min-precision and --min-recall. Each comes with its expected precision and recall, and with confidence intervals
    for as many new images of the same kind. `mobiledet thresholds` stores them in the bundle. The result also lists the
    errors at these thresholds: kinds of error, confused classes, the worst images.

    An interrupted evaluation (Ctrl-C, a pulled cable, a killed process) continues when the same command is run again:
    the detections of each image are saved as soon as they are known.

    For example:
      mobiledet evaluate x.mobiledet --data /data/coco
      mobiledet evaluate x.mobiledet --data shapes --precision int8 --threads 1 --out results/x-int8-1t.json
      mobiledet evaluate x.mobiledet --images pictures --annotations boxes.json --limit 500
      mobiledet evaluate x.mobiledet --data aerial --tiles 640
      mobiledet evaluate x.mobiledet --data shop --min-precision 0.95
      mobiledet evaluate x.mobiledet --no-accuracy --sustained 5m
      mobiledet evaluate x.mobiledet --no-accuracy --fps 30
      mobiledet evaluate x.mobiledet --data /data/coco --device http://192.168.0.7:8765 --token TOKEN
      mobiledet evaluate x.mobiledet --data /data/coco --device adb --apk mobiledet.apk
    """

    bundle: Positional[Path]
    """The bundle that `mobiledet export` wrote: a folder NAME.mobiledet or a zip of it."""

    device: str = "local"
    """Device to run on. local: this machine; http://HOST:PORT: a `mobiledet agent`; adb:SERIAL: an Android phone;
    ios:UDID: an iPhone (adb or ios without an identifier: the only phone that is connected); browser: a page that any
    phone in this network opens; browser:SERIAL: a page on an Android phone connected by cable; browser:localhost: a
    page on this machine; arm: an emulated ARM processor (arm:cortex-a53, arm:cortex-a76, arm:max; run `mobiledet
    arm-setup` first), which measures mAP on its kernels but no latency. `mobiledet devices` lists reachable devices."""
    token: str = ""
    """Token of the agent, which the agent prints; by default the environment variable MOBILEDET_AGENT_TOKEN."""
    mode: InputMode = "image"
    """image: the device decodes and resizes the images, as an app would; tensor: this machine does, so that only the
    runtime can differ."""
    file: str = ""
    """Model file of the bundle to run, such as model.float16.tflite; by default the one that the bundle recommends for
    --accelerator: int8 on the CPU if there is such a file. The first line of the output and the result name it."""
    precision: str = ""
    """Run the .tflite file of this precision, such as float16, instead of naming a file."""
    accelerator: str = "auto"
    """Accelerator to run on: auto, or one that the device has (local: xnnpack, cpu). The result records the one that
    really ran the file."""
    strict: bool = False
    """Refuse the result if the file ran on another accelerator than the requested one."""
    threads: int = 0
    """Number of CPU threads; 0 uses every core, on an Android phone at most 4."""
    phone: Annotated[PhoneOptions, arg(name="")] = ANY_PHONE
    """Preparation of a phone before the measurement."""
    tool: Literal["mobiledet", "benchmark_model"] = "mobiledet"
    """Program that measures. benchmark_model: copy TensorFlow Lite's tool of that name to an Android phone and let it
    time the file, to cross-check our latency. It measures no mAP and checks no golden inputs, so `mobiledet report`
    keeps it out of the charts."""
    benchmark_binary: Path | None = None
    """Path of the program benchmark_model, built for the phone."""

    tiles: str = ""
    """Also run on overlapping tiles of this size in pixels, such as 640 or 480x640 (height x width), or auto for the
    model's input size, to detect small objects in large images. The same run also scores the whole images alone, so
    that the result shows what tiles gain in mAP and cost in time. The reported latency is that of a single run of the
    file."""
    tile_overlap: float = 0.2
    """Overlap of neighbouring tiles as a fraction of their side length, 0 to 0.9. An object that is no larger than
    the overlap lies completely inside one tile."""
    scorer: Literal["hotcoco", "faster-coco-eval", "pycocotools"] = "hotcoco"
    """Library that computes the twelve COCO metrics. All give the same numbers; hotcoco is by far the fastest."""

    min_precision: float | None = None
    """Also report for every class the score threshold that keeps this precision, such as 0.9: at least this fraction of
    the shown detections is correct."""
    min_recall: float | None = None
    """Also report for every class the score threshold that keeps this recall: at least this fraction of the objects is
    detected."""
    match_iou: float = 0.5
    """IoU from which on a detection matches an object, for thresholds and errors: 0.5, 0.55, ... 0.95."""

    accuracy: bool = True
    """Measure mAP; needs --data or --images."""
    latency: bool = True
    """Measure latency, cold start and memory."""
    warmup_runs: int = 10
    """Minimum number of warm-up runs before the timed runs."""
    warmup_seconds: float = 1.0
    """Minimum duration of the warm-up in seconds."""
    warmup_limit_seconds: float = 10.0
    """Maximum duration of the warm-up in seconds; within it, the warm-up continues until the latency is steady. 0 does
    not wait for a steady latency."""
    min_runs: int = 50
    """Minimum number of timed runs."""
    min_seconds: float = 10.0
    """Minimum duration of the timed runs in seconds."""
    sustained: str = ""
    """Measure for this long instead, such as 90s, 5m or 1h, to see how much the device slows down when it gets warm."""
    fps: float = 0.0
    """Start runs at this rate, in runs per second, as a camera would, instead of as fast as possible."""

    out: Path | None = None
    """File for the result; by default results/MODEL-SHA256-FILE-DEVICE.json, with 8 digits of the bundle's checksum. An
    existing file is replaced. The detections are written beside it, to NAME.detections.ndjson."""
    fresh: bool = False
    """Start again from the first image where an earlier evaluation was interrupted. Without this option it continues,
    and images that were finished are not run again."""


@dataclass(frozen=True)
class ThresholdsConfig:
    """Show the score thresholds that a result recommends, and store them in the bundle.

    `mobiledet evaluate` chose a threshold for every class: the one with the best F1, and with --min-precision or
    --min-recall the one that satisfies it. Once stored in the bundle, `mobiledet predict`, `Detector.detect` and the
    apps apply them. The bundle records their origin: data, images, result, file, rule, IoU, date. The other model files
    of the bundle have thresholds of their own, so evaluate those files too.

    For example:
      mobiledet thresholds results/x.json
      mobiledet thresholds results/x.json --write x.mobiledet
      mobiledet thresholds results/x.json --rule precision --write x.mobiledet
    """

    result: Positional[Path]
    """The JSON file that `mobiledet evaluate` wrote."""

    rule: Literal["f1", "precision", "recall"] = "f1"
    """Rule by which the thresholds are chosen: the best F1, or the --min-precision or --min-recall that was given to
    the evaluation."""
    write: Path | None = None
    """Store the thresholds in this bundle, a folder or a zip. It must contain exactly the model file that was
    evaluated."""


@dataclass(frozen=True)
class ReportConfig:
    """Draw results: mAP against latency with the Pareto front, latency distributions, precisions, classes, devices.

    The page needs no network and no other file: send it, print it, open it on a phone. Each device has its own marker;
    results of different image lists, and those of browsers, are drawn in separate charts. The chart is also written as
    .png, and the results as .csv and .md, beside the page.

    For example:
      mobiledet report results
      mobiledet report results/*.json --out site/index.html --pictures predictions
    """

    results: Positional[tuple[Path, ...]]
    """JSON files that `mobiledet evaluate` wrote, cross-checks included, or folders that contain them."""

    out: Path = Path("report.html")
    """HTML page to write; an existing one is replaced."""
    png: Path | None = None
    """File for the chart of mAP against latency; by default beside the page, with the suffix .png."""
    pictures: Path | None = None
    """Folder of images to show on the page, such as those that `mobiledet predict` draws."""
    title: str = "On-device detection"
    """Title of the page."""


@dataclass(frozen=True)
class PredictConfig:
    """Run a bundle on images, videos or a camera, and draw the detections.

    Images are rotated by their EXIF orientation, unless the bundle was trained with --exif ignore, and videos by their
    rotation. The name of a published detector (`mobiledet zoo`) may be given instead of a bundle: its weights are
    downloaded and exported once and kept in the cache. Without a network, the error names the path where a downloaded
    file of weights is expected.

    For a video, two files are written: NAME.mp4 with the detections drawn in (the timing of the frames is kept, sound
    is not) and NAME.ndjson with a line of JSON for each frame: {"frame": 0, "time_s": 0.0, "detections": [{"label":
    "dog", "label_index": 16, "category_id": 18, "score": 0.9, "box_xyxy": [left, top, right, bottom]}]}, in pixels of
    the upright frame, x to the right, y down. A camera runs until Ctrl-C; frames that arrive while the detector is busy
    are skipped and counted. Videos need PyAV: pip install 'mobiledet[video]'.

    Each file is written completely or not at all. A source that cannot be read does not stop the others; it is reported
    at the end, with exit status 2. A video that is damaged or ends too early is kept up to that point, and the time is
    reported, with exit status 3.

    For example:
      mobiledet predict ssdlite320_mobilenet_v3_large photo.jpg
      mobiledet predict x.mobiledet holiday/ --score 0.5 --out drawn
      mobiledet predict x.mobiledet cat.jpg --json > boxes.json
      mobiledet predict x.mobiledet street.mp4 --every 5 --write ndjson
      mobiledet predict x.mobiledet 0                            # the first camera
      mobiledet predict x.mobiledet rtsp://192.168.0.9/stream
      mobiledet predict x.mobiledet aerial.tif --tiles 640       # small objects
      mobiledet predict x.mobiledet street.mp4 --track --line gate=0,400,1280,400
    """

    bundle: Positional[Path]
    """The bundle that `mobiledet export` wrote: a folder NAME.mobiledet or a zip of it; or the name of a published
    detector, unless a file or folder has that name."""
    images: Positional[Annotated[tuple[str, ...], arg(metavar="SOURCE...")]]
    """Images, videos, folders of them, cameras by number (0) or device (/dev/video0), addresses of streams."""

    out: Path = Path("predictions")
    """Folder for the annotated images and videos; an existing file of the same name is replaced."""
    sheet: Path | None = None
    """Also write one JPEG file with all annotated images side by side."""
    score: float | None = None
    """Leave out detections below this score. By default the thresholds of each class that `mobiledet thresholds` stored
    in the bundle apply, or 0.3 if it has none."""
    json: bool = False
    """Print the detections of images as JSON instead of a table; for videos, print the files that were written."""
    every: int = 1
    """Process only every N-th frame of a video. The annotated video contains only those frames, at their original
    times."""
    write: Literal["both", "video", "ndjson"] = "both"
    """What to write for a video: the annotated video, a line of JSON for each frame, or both."""
    tiles: str = ""
    """Also run on overlapping tiles of this size in pixels, such as 640 or 480x640 (height x width), or auto for the
    model's input size, to detect small objects in large images."""
    tile_overlap: float = 0.2
    """Overlap of neighbouring tiles as a fraction of their side length, 0 to 0.9. An object that is no larger than
    the overlap lies completely inside one tile."""
    track: bool = False
    """Track objects from frame to frame: each object keeps its number, in drawings, JSON lines ("track_id") and tables.
    Images are treated as frames of one camera, those of a folder in the order of the numbers in their names."""
    track_weak: float = 0.1
    """Lowest score of a detection that continues a track. Detections below the score threshold cannot start one."""
    track_keep: int = 30
    """Number of frames for which the track of a hidden object is kept; after that the object gets a new number."""
    track_smoothing: float = 0.0
    """Weight of the previous box in each displayed box, 0 to below 1: higher values make boxes jitter less."""
    track_any_class: bool = False
    """Allow a track to change its class; by default only detections of the same class continue a track."""
    line: tuple[str, ...] = ()
    """With --track, count objects that cross this line: [NAME=]x1,y1,x2,y2 in pixels, or all in percent of the image
    size, such as door=50%,0%,50%,100%. Right and left are as seen when walking from the first point to the second."""
    zone: tuple[str, ...] = ()
    """With --track, count objects inside this polygon: [NAME=]x1,y1,x2,y2,x3,y3,..., its corners in pixels or
    percent."""
    count_point: Literal["bottom", "centre"] = "bottom"
    """Point of a box that decides at lines and zones: the middle of its lower edge, or its centre."""
    line_margin: float = 0.0
    """Distance from a line in pixels within which no crossing is decided, so that an object that jitters on the line is
    not counted repeatedly."""
    file: str = ""
    """Model file or precision of the bundle to run; by default the one that the bundle recommends for the CPU."""
    device: str = "local"
    """Device to run on. local: this machine; adb: an Android phone; http://HOST:PORT: an agent, whose token is in the
    environment variable MOBILEDET_AGENT_TOKEN. `mobiledet devices` lists more."""
    threads: int = 0
    """Number of CPU threads; 0 uses every core, on an Android phone at most 4."""
