"""The way of the data: what lies between the steps, and which package walks each step."""

from pathlib import Path

from canvas import FAINT, Canvas

WIDTH, HEIGHT, GAP = 148, 48, 62  # of a box, and between two
STEP = WIDTH + GAP
TOP, BOTTOM = 110, 240


def draw(folder: Path) -> None:
    """Write architecture.svg."""
    canvas = Canvas(20 + 5 * STEP - GAP + 20, 400, "The way of the data through the packages")
    upper = (
        ("annotated images:\nCOCO, Roboflow,\nYOLO, VOC", "data"),
        ("DetectionSet", "training"),
        ("best.ckpt:\nweights, ModelSpec", "converters"),
        ("TFLite, Core ML,\nCore AI files", ""),
        ("checked\nfile by file", ""),
    )
    for place, (words, package) in enumerate(upper):
        x = _left(place)
        canvas.box(x, TOP, WIDTH, HEIGHT + 10, words)
        if place < len(upper) - 1:
            _right(canvas, x, TOP + 28, package)
    # published weights come in from above, and PyTorch's detections go to the check
    canvas.box(_left(1), 16, WIDTH, HEIGHT, "published weights", "#f6f2ea")
    x = _left(2) + 40
    canvas.line(_left(1) + WIDTH, 40, x, 40)
    canvas.arrow(x, 40, x, TOP)
    canvas.text(_left(1) + WIDTH + GAP / 2, 34, "zoo", 11)
    start, end = _left(2) + WIDTH - 20, _left(4) + WIDTH / 2
    canvas.line(start, TOP, start, 64, FAINT)
    canvas.line(start, 64, end, 64, FAINT)
    canvas.arrow(end, 64, end, TOP, FAINT)
    canvas.text((start + end) / 2, 58, "what PyTorch finds", 11)
    # and back along the lower row
    canvas.arrow(end, TOP + HEIGHT + 10, end, BOTTOM)
    canvas.text(end + 8, BOTTOM - 28, "bundle", 11, "start")
    lower = (
        (4, "NAME.mobiledet:\nfiles, golden cases", "devices"),
        (3, "this machine, a phone,\nan agent, a browser", "evaluation"),
        (2, "result.json:\nmAP, latency, memory", "evaluation"),
        (1, "report.html", ""),
    )
    for place, words, package in lower:
        canvas.box(_left(place), BOTTOM, WIDTH, HEIGHT + 10, words)
        if package:
            x = _left(place)
            canvas.arrow(x, BOTTOM + 28, x - GAP, BOTTOM + 28)
            canvas.text(x - GAP / 2, BOTTOM + 20, package, 11)
    canvas.arrow(end, BOTTOM + HEIGHT + 10, end, 336)
    canvas.box(_left(4), 336, WIDTH, HEIGHT, "apps: Kotlin,\nSwift, JavaScript")
    canvas.text(20, 380, "boxes: files and objects; words on arrows: packages of mobiledet", 11, "start")
    canvas.write(folder / "architecture.svg")


def _left(place: int) -> float:
    return 20 + STEP * place


def _right(canvas: Canvas, x: float, y: float, package: str) -> None:
    canvas.arrow(x + WIDTH, y, x + WIDTH + GAP, y)
    canvas.text(x + WIDTH + GAP / 2, y - 8, package, 11)
