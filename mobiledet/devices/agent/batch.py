"""Images on their way to an agent, and how many of them travel together."""

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

FIRST_IMAGES, MOST_IMAGES = 4, 32
SECONDS = 1.0  # a batch that the device computes for so long is lost when the connection is


@dataclass(frozen=True)
class Item:
    """An image on its way.

    Attributes:
        path: where it comes from.
        content: what is sent of it.
        problem: why it cannot be sent.
        placement: of the picture that a tensor was made of; None where boxes come back in their own picture.
    """

    path: Path
    content: bytes
    problem: str = ""
    placement: Placement | None = None


class BatchSize:
    """How many images make a batch: as many as the device computes in about a second, as far as it is known."""

    def __init__(self) -> None:
        self.images = FIRST_IMAGES

    def learn(self, images: int, computed_ns: int) -> None:
        """A device computed for so long on so many images."""
        fitting = SECONDS * 1e9 * images / max(computed_ns, 1)
        self.images = int(min(max(1.0, fitting), MOST_IMAGES))


def batches(items: Iterable[Item], size: BatchSize, most_bytes: int) -> Iterator[list[Item]]:
    """Neighbours together, up to ``size`` and so many bytes; a larger one goes alone."""
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
    """A picture file as it is; pixels become one without loss."""
    if isinstance(image, bytes):
        return _encoded_item(Path(str(index)), image)
    if not isinstance(image, Path):
        return _encoded_item(Path(str(index)), GoldenInput.of_image(image).content)
    try:
        return _encoded_item(image, image.read_bytes())
    except OSError as error:
        return Item(image, b"", f"cannot decode image {image}: {str(error.strerror).lower()}")


def prepared_item(image: ImageSource, index: int, spec: InputSpec, apply_orientation: bool) -> Item:
    """The input of the model, made here."""
    path = image if isinstance(image, Path) else Path(str(index))
    try:
        decoded = read_for_input(image, path, spec, apply_orientation)
    except UserError as error:
        return Item(path, b"", str(error))
    pixels = resize_to_input(decoded.pixels, spec, decoded.extent)
    return Item(path, pixels.tobytes(), placement=Placement.of(decoded.height, decoded.width, spec))


def golden_item(case: GoldenCase, index: int, mode: InputMode) -> Item:
    """A golden case: as a tensor, or as a picture file, which it is already or becomes without loss."""
    path = Path(f"golden case {index}")
    if mode == "tensor":
        return Item(path, case.image.tobytes())
    return _encoded_item(path, case.encoded or GoldenInput.of_image(case.image).content)


def _encoded_item(path: Path, content: bytes) -> Item:
    return Item(path, len(content).to_bytes(LENGTH_BYTES, "big") + content)
