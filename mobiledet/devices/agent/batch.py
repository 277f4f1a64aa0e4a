"""Images that are sent to an agent, and the size of the batches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mobiledet.data.images import ImageSource, read_for_input
from mobiledet.data.resize import resize_to_input
from mobiledet.devices.agent.messages import LENGTH_BYTES
from mobiledet.devices.options import InputMode
from mobiledet.errors import UserError
from mobiledet.golden import GoldenCase, GoldenInput
from mobiledet.placement import Placement
from mobiledet.spec import InputSpec

FIRST_IMAGES, MAX_IMAGES = 4, 32  # size of the first and of the largest batch
SECONDS = 1.0  # computing time of a batch on the device; that much is lost when the connection breaks


@dataclass(frozen=True)
class Item:
    """An image to send.

    Attributes:
        path: its path.
        content: the bytes to send.
        problem: why it cannot be sent; else empty.
        placement: placement of the image in a tensor; None if the boxes will be in pixels of the image.
    """

    path: Path
    content: bytes
    problem: str = ""
    placement: Placement | None = None


class BatchSize:
    """The number of images in a batch: as many as the device processes in about a second."""

    def __init__(self) -> None:
        self.images = FIRST_IMAGES

    def learn(self, images: int, computed_ns: int) -> None:
        """Adapt to a measurement: ``computed_ns`` for ``images`` images."""
        fitting = SECONDS * 1e9 * images / max(computed_ns, 1)
        self.images = int(min(max(1.0, fitting), MAX_IMAGES))


def batches(items: Iterable[Item], size: BatchSize, most_bytes: int) -> Iterator[list[Item]]:
    """Group successive items, up to ``size`` images and ``most_bytes``; a larger item is a batch of its own."""
    batch: list[Item] = []
    content = 0
    for item in items:
        if batch and (len(batch) >= size.images or content + len(item.content) > most_bytes):
            yield batch
            batch, content = [], 0
        batch.append(item)
        content += len(item.content)
    if batch:
        yield batch


def image_item(image: ImageSource, index: int) -> Item:
    """The item for an image: a file unchanged; pixels are encoded losslessly."""
    if isinstance(image, bytes):
        return _encoded_item(Path(str(index)), image)
    if not isinstance(image, Path):
        return _encoded_item(Path(str(index)), GoldenInput.of_image(image).content)
    try:
        return _encoded_item(image, image.read_bytes())
    except OSError as error:
        return Item(image, b"", f"cannot decode image {image}: {str(error.strerror).lower()}")


def prepared_item(image: ImageSource, index: int, spec: InputSpec, apply_orientation: bool) -> Item:
    """The item for the model's input, which is prepared here."""
    path = image if isinstance(image, Path) else Path(str(index))
    try:
        decoded = read_for_input(image, path, spec, apply_orientation)
    except UserError as error:
        return Item(path, b"", str(error))
    pixels = resize_to_input(decoded.pixels, spec, decoded.extent)
    return Item(path, pixels.tobytes(), placement=Placement.of(decoded.height, decoded.width, spec))


def golden_item(case: GoldenCase, index: int, mode: InputMode) -> Item:
    """The item for a golden case: a tensor, or an image file, into which a tensor is encoded losslessly."""
    path = Path(f"golden case {index}")
    if mode == "tensor":
        return Item(path, case.image.tobytes())
    return _encoded_item(path, case.encoded or GoldenInput.of_image(case.image).content)


def _encoded_item(path: Path, content: bytes) -> Item:
    return Item(path, len(content).to_bytes(LENGTH_BYTES, "big") + content)
