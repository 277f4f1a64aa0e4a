"""Options of the commands evaluate, report and predict. Imports nothing heavy, so that their help appears at once."""

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
    """Which part of --data: val, which --val-set names, train, or any other that it holds, such as test."""
    images: Path | None = None
    """Folder of images, instead of --data; needs --annotations."""
    annotations: Path | None = None
    """COCO JSON of --images."""
    limit: int = 0
    """Only the first N images; 0 takes all. Results of different image lists are never drawn on one axis."""
    exif: Literal["bundle", Exif] = "bundle"
    """Whether images are turned as their EXIF orientation says: always (apply), never (ignore), or where the size in
    the annotations does not tell otherwise (auto); bundle: as it was trained."""


@dataclass(frozen=True)
class EvaluateConfig(ScoredImages):
    """Measure the exported file of a bundle on a device: COCO mAP, latency, cold start and memory.

    The device first replays the bundle's golden inputs; a runtime that gives other detections is refused. Then the
    latency is measured: warm-up, timed runs, and cold starts in fresh processes. Then the file runs over the
    validation images, and its detections are scored like COCO's own server does. At the end the golden inputs are
    replayed once more. Everything lands in one JSON file, raw samples included, that `mobiledet report` draws.

    The result also says from which score on to show detections: for every class the threshold of best F1, and those of
    --min-precision and --min-recall, with the precision and recall that it promises and the interval in which they lie
    on as many other images of the same kind. `mobiledet thresholds` stores them in the bundle. And it says what goes
    wrong there: kinds of error, classes that are taken for each other, the worst images.

    An evaluation that was interrupted, by Ctrl-C, a pulled cable or a kill, goes on when the same command is given
    again: the detections of each image are on disk as soon as they are known.

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
    """Where to run it: local is this machine, http://HOST:PORT is a `mobiledet agent`, adb:SERIAL an Android phone,
    ios:UDID an iPhone (adb or ios alone: the only one), browser a page that any phone of this network opens,
    browser:SERIAL one on an Android phone by cable, browser:localhost one on this machine; arm is an emulated ARM
    processor (arm:cortex-a53, arm:cortex-a76, arm:max; `mobiledet arm-setup` first): mAP on its kernels, no latency.
    `mobiledet devices` lists what is reachable."""
    token: str = ""
    """Of the agent, which shows it; by default MOBILEDET_AGENT_TOKEN of the environment."""
    mode: InputMode = "image"
    """image: the device decodes and resizes the files, as an app would; tensor: this machine does, so that only the
    runtime can differ."""
    file: str = ""
    """Model file of the bundle, such as model.float16.tflite; by default the first .tflite."""
    precision: str = ""
    """Take the .tflite of this precision instead, such as float16."""
    accelerator: str = "auto"
    """What computes: auto, or one of the device's own (local: xnnpack, cpu). The result says what really did."""
    strict: bool = False
    """Refuse the result when another accelerator ran the file than the one that was asked for."""
    threads: int = 0
    """Threads of the processor; 0 takes every core."""
    phone: Annotated[PhoneOptions, arg(name="")] = ANY_PHONE
    """What is done on a phone first."""
    tool: Literal["mobiledet", "benchmark_model"] = "mobiledet"
    """benchmark_model: copy TensorFlow Lite's tool of that name to an Android phone and let it time the file, as a
    cross-check of our latency. It has no mAP and no golden gate, and `mobiledet report` draws it in no chart."""
    benchmark_binary: Path | None = None
    """That tool, built for the phone."""

    tiles: str = ""
    """Also run on slices of this size in pixels, such as 640 or 480x640 (height x width), or of the model's own size
    (auto), for what is small in large images. The same run scores the whole images alone, so that the result tells the
    mAP that slices bring and the time that they cost; the latency is that of one run of the file."""
    tile_overlap: float = 0.2
    """Of neighbouring slices, as a share of their side: what is no larger lies whole in one of them."""
    scorer: Literal["hotcoco", "faster-coco-eval", "pycocotools"] = "hotcoco"
    """Computes the twelve numbers; all give the same ones, hotcoco by far the fastest."""

    min_precision: float | None = None
    """Beside the threshold of best F1, also tell for every class the one that keeps this precision, such as 0.9: at
    least that share of what is shown is right."""
    min_recall: float | None = None
    """Likewise the one that keeps this recall: at least that share of the objects is found."""
    match_iou: float = 0.5
    """Overlap (IoU) from which on an object counts as found, for thresholds and errors: 0.5, 0.55, ... 0.95."""

    accuracy: bool = True
    """Measure mAP; needs --data or --images."""
    latency: bool = True
    """Measure latency, cold start and memory."""
    warmup_runs: int = 10
    """Runs before the timed ones, at least ..."""
    warmup_seconds: float = 1.0
    """... and for at least so long ..."""
    warmup_limit_seconds: float = 10.0
    """... and until it is steady, for at most so long; 0 does not ask for that."""
    min_runs: int = 50
    """Timed runs, at least ..."""
    min_seconds: float = 10.0
    """... and for at least so long."""
    sustained: str = ""
    """Measure for so long instead, such as 90s, 5m or 1h, to see how the device slows down when it gets warm."""
    fps: float = 0.0
    """Run the file as often as a camera of this rate gives images, instead of as often as possible."""

    out: Path | None = None
    """The result; by default results/MODEL-SHA256-FILE-DEVICE.json, with 8 digits of the bundle's checksum. An old
    one is replaced. The detections lie beside it, in NAME.detections.ndjson."""
    fresh: bool = False
    """Start anew where an earlier evaluation was interrupted; without it the images that it has seen are not run
    again."""


@dataclass(frozen=True)
class ThresholdsConfig:
    """Show from which score on a result's file should show detections, and store it in the bundle.

    `mobiledet evaluate` chose the thresholds, for every class: the best F1, and with --min-precision or --min-recall
    those that keep to them. Stored in the bundle they are what `mobiledet predict`, `Detector.detect` and the apps
    show from then on. The bundle remembers where they come from: data, images, result, file, rule, IoU, date. Other
    files of the bundle have thresholds of their own: evaluate them, too.

    For example:
      mobiledet thresholds results/x.json
      mobiledet thresholds results/x.json --write x.mobiledet
      mobiledet thresholds results/x.json --rule precision --write x.mobiledet
    """

    result: Positional[Path]
    """The JSON file that `mobiledet evaluate` wrote."""

    rule: Literal["f1", "precision", "recall"] = "f1"
    """What the thresholds are chosen for: the best F1, or what --min-precision or --min-recall of the evaluation
    asked for."""
    write: Path | None = None
    """Store them in this bundle, a folder or a zip, which must hold the very file that was evaluated."""


@dataclass(frozen=True)
class ReportConfig:
    """Draw results: mAP against latency with the Pareto front, latency distributions, precisions, classes, devices.

    The page needs no network and no other file: send it, print it, open it on a phone. Results of different devices
    get marks of their own; results of different image lists, and those of browsers, get charts of their own. Beside the
    page lie the chart as .png and the results as .csv and .md.

    For example:
      mobiledet report results
      mobiledet report results/*.json --out site/index.html --pictures predictions
    """

    results: Positional[tuple[Path, ...]]
    """JSON files that `mobiledet evaluate` wrote, cross-checks included, or folders of them."""

    out: Path = Path("report.html")
    """The page. An old one is replaced."""
    png: Path | None = None
    """mAP against latency as a picture; by default beside the page, with the suffix .png."""
    pictures: Path | None = None
    """Folder of pictures to show on the page, such as those of `mobiledet predict`."""
    title: str = "On-device detection"
    """Heading of the page."""


@dataclass(frozen=True)
class PredictConfig:
    """Run a bundle on pictures, videos or a camera, and draw what it finds.

    Pictures are turned as their EXIF orientation says, unless the bundle was trained with --exif ignore, and videos as
    their rotation says. The name of a published detector (`mobiledet zoo`) stands for its bundle: its weights are
    fetched and exported once and kept in the cache. Without a network the error says where a file of weights must lie
    to be taken.

    Of a video NAME.mp4 is written, where each frame is shown when it was (without sound), and NAME.ndjson, a line of
    JSON for each frame: {"frame": 0, "time_s": 0.0, "detections": [{"label": "dog", "label_index": 16, "category_id":
    18, "score": 0.9, "box_xyxy": [left, top, right, bottom]}]}, in pixels of the upright frame, x to the right, y down.
    A camera goes on until Ctrl-C; frames that come while the detector is busy are passed over, and counted. Videos need
    PyAV: pip install 'mobiledet[video]'.

    Each file is written whole or not at all. What cannot be read does not stop the rest, it is told at the end: exit
    status 2. A video that breaks or is cut off is kept up to there, the time is told: exit status 3.

    For example:
      mobiledet predict ssdlite320_mobilenet_v3_large photo.jpg
      mobiledet predict x.mobiledet holiday/ --score 0.5 --out drawn
      mobiledet predict x.mobiledet cat.jpg --json > boxes.json
      mobiledet predict x.mobiledet street.mp4 --every 5 --write ndjson
      mobiledet predict x.mobiledet 0                            # the first camera
      mobiledet predict x.mobiledet rtsp://192.168.0.9/stream
      mobiledet predict x.mobiledet aerial.tif --tiles 640       # what is small
      mobiledet predict x.mobiledet street.mp4 --track --line gate=0,400,1280,400
    """

    bundle: Positional[Path]
    """The bundle that `mobiledet export` wrote: a folder NAME.mobiledet or a zip of it; or the name of a published
    detector, where no file or folder is called so."""
    images: Positional[Annotated[tuple[str, ...], arg(metavar="SOURCE...")]]
    """Pictures, videos, folders of them, cameras by number (0) or device (/dev/video0), addresses of streams."""

    out: Path = Path("predictions")
    """Folder for what is drawn; an old file of the same name is replaced."""
    sheet: Path | None = None
    """Also put all drawn pictures side by side on this one, a JPEG."""
    score: float | None = None
    """Leave out detections below this score; by default below the thresholds of each class that `mobiledet thresholds`
    stored in the bundle, or below 0.3 where it has none."""
    json: bool = False
    """Print the detections as JSON instead of a table; of videos what was written."""
    every: int = 1
    """Of a video, take every N-th frame; the written video holds those alone, at their times."""
    write: Literal["both", "video", "ndjson"] = "both"
    """Of a video: the annotated video, a line of JSON for each frame, or both."""
    tiles: str = ""
    """Also run on slices of this size in pixels, such as 640 or 480x640 (height x width), or of the model's own size
    (auto), to find what is small in large pictures."""
    tile_overlap: float = 0.2
    """Of neighbouring slices, as a share of their side: what is no larger lies whole in one of them."""
    track: bool = False
    """Follow objects from frame to frame: each has a number that stays, in drawings, lines of JSON ("track_id") and
    tables. Pictures are taken for frames of one camera, those of a folder by the numbers in their names."""
    track_weak: float = 0.1
    """Detections from this score on keep a track alive, though they are too weak to begin one."""
    track_keep: int = 30
    """Frames that a track waits for an object that is hidden; then the object gets a new number."""
    track_smoothing: float = 0.0
    """Share of what was shown before in each box, 0 to below 1: boxes tremble less."""
    track_any_class: bool = False
    """A track may change its class; by default only detections of its class go on it."""
    line: tuple[str, ...] = ()
    """With --track, count who crosses: [NAME=]x1,y1,x2,y2 in pixels, or all in percent of the picture, such as
    door=50%,0%,50%,100%. To the right is the right hand of who walks from the first point to the second."""
    zone: tuple[str, ...] = ()
    """With --track, count who is inside: [NAME=]x1,y1,x2,y2,x3,y3,... the corners, in pixels or percent."""
    count_point: Literal["bottom", "centre"] = "bottom"
    """Of a box, what counts at lines and zones: the middle of its lower edge, or its centre."""
    line_margin: float = 0.0
    """Pixels on both sides of a line in which nothing is decided: who stands on it and trembles is not counted."""
    file: str = ""
    """Model file or precision of the bundle; by default the first .tflite."""
    device: str = "local"
    """Where to run it: local is this machine, adb an Android phone, http://HOST:PORT an agent whose token is in
    MOBILEDET_AGENT_TOKEN. `mobiledet devices` lists more."""
    threads: int = 0
    """Threads of the processor; 0 takes every core."""
