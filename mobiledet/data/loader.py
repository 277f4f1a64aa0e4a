"""Batches for training and evaluation: worker processes, fixed shapes, the same order for the same seed and epoch."""

import dataclasses
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from mobiledet.data.config import OnBadData
from mobiledet.data.dataset import DetectionSet, LabelledImage
from mobiledet.data.image_cache import ImageCache
from mobiledet.data.images import load_for_input, load_reduced, reduction
from mobiledet.data.resize import resize_to_input, use_one_thread
from mobiledet.data.transforms import Boxes, Labels, Transform, augment
from mobiledet.errors import UserError
from mobiledet.spec import InputSpec

PADDING_LABEL = -1
CACHE_BYTES = 2**30
MAX_SUBSTITUTES = 100  # bad images in a row
# Training images are decoded to at least this many times the sides of the input, so that a crop of a quarter of the
# area is as sharp as the full image.
SPARE_RESOLUTION = 2


@dataclass(frozen=True)
class Batch:
    """N images of one size and their boxes.

    Attributes:
        images: N x 3 x H x W uint8, RGB, channels last in memory.
        boxes: N x M x 4 float32, xyxy in pixels of ``images``; rows of padding are zero. M is at least 1.
        labels: N x M int64, -1 in rows of padding.
        indices: N int64, positions in the data set's images.
        original_sizes: N x 2 int64, height and width of the full images.
        bad_images: images that were left out, each a text with file and reason.
    """

    images: Tensor
    boxes: Tensor
    labels: Tensor
    indices: Tensor
    original_sizes: Tensor
    bad_images: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.indices)

    def to(self, device: torch.device | str, non_blocking: bool = True) -> "Batch":
        """The same batch with its tensors on ``device``."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory; the DataLoader calls this."""
        return self._map(Tensor.pin_memory)

    def _map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        return dataclasses.replace(
            self,
            images=function(self.images),
            boxes=function(self.boxes),
            labels=function(self.labels),
            indices=function(self.indices),
            original_sizes=function(self.original_sizes),
        )


@dataclass(frozen=True)
class Sample:
    """An image of the input size; boxes are xyxy in its pixels. ``bad_images`` lists images that it replaces."""

    image: NDArray[np.uint8]
    boxes: Boxes
    labels: Labels
    index: int
    original_size: tuple[int, int]
    bad_images: tuple[str, ...] = ()


class DetectionDataset(Dataset[Sample | UserError]):
    """Decodes, augments and resizes the images of a ``DetectionSet``.

    For evaluation, images are resized as on devices, see ``mobiledet.data.resize``. For training, images far larger
    than the input are decoded at a reduced size, which still leaves enough pixels for crops.

    Keys are (epoch, index), so that augmentation depends on nothing else, whichever worker runs it. For an image that
    cannot be used, the item is the error: an error raised in a worker would arrive wrapped in a traceback.

    Args:
        dataset: the images.
        transform: training augmentation that ends in the input's size; None only resizes.
        spec: description of the input.
        seed: random seed of the augmentation.
        substitute_bad: replace a bad image by the next usable one, instead of returning the error.
        cache_images: keep all decoded images in memory.
        disk_cache: cache for decoded training images; None decodes them each time.
    """

    def __init__(
        self,
        dataset: DetectionSet,
        *,
        transform: Transform | None,
        spec: InputSpec,
        seed: int = 0,
        substitute_bad: bool = False,
        cache_images: bool = False,
        disk_cache: ImageCache | None = None,
    ) -> None:
        self.dataset = dataset
        self.transform = transform
        self.input = spec
        self._least = min_decoded_size(spec.height, spec.width)
        self.seed = seed
        self.substitute_bad = substitute_bad
        self.disk_cache = disk_cache
        self._cache: list[NDArray[np.uint8] | UserError] = []
        if cache_images:
            with ThreadPoolExecutor() as pool:
                self._cache = list(pool.map(self._decode, range(len(dataset.images))))

    @property
    def unreadable(self) -> list[str]:
        """Error messages of images that cannot be used; known only if images are kept in memory."""
        return [str(image) for image in self._cache if isinstance(image, UserError)]

    def __len__(self) -> int:
        return len(self.dataset.images)

    def __getitem__(self, key: tuple[int, int]) -> Sample | UserError:
        epoch, first = key
        bad_images: list[str] = []
        for offset in range(min(len(self), MAX_SUBSTITUTES) if self.substitute_bad else 1):
            index = (first + offset) % len(self)
            image = self._cache[index] if self._cache else self._decode(index)
            if not isinstance(image, UserError):
                return self._sample(image, epoch, index, tuple(bad_images))
            bad_images.append(str(image))
        return UserError(bad_images[0])

    def _decode(self, index: int) -> NDArray[np.uint8] | UserError:
        source = self.dataset.images[index]
        try:
            image, (height, width) = self._load(source)
        except UserError as error:
            return error
        problem = source.size_problem(height, width, self.dataset.annotations)
        return UserError(problem) if problem else image

    def _load(self, source: LabelledImage) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """The pixels, for evaluation already resized to the input; and height and width of the full image."""
        check = partial(source.size_problem, annotations=self.dataset.annotations)  # called before decoding
        if self.transform is None:
            decoded = load_for_input(source.path, self.input, source.apply_orientation, check)
            return resize_to_input(decoded.pixels, self.input, decoded.extent), (decoded.height, decoded.width)
        if self.disk_cache:
            return self.disk_cache.load(source)
        return load_reduced(source.path, *self._least, source.apply_orientation, check)

    def _sample(self, image: NDArray[np.uint8], epoch: int, index: int, bad_images: tuple[str, ...]) -> Sample:
        source = self.dataset.images[index]
        if self.transform is None:
            resized, boxes, labels = image, source.boxes_in_input(self.input), source.labels
        else:
            seed = (self.seed, epoch, index)
            factor = reduction((source.height, source.width), self._least)
            boxes = source.boxes_in(source.height / factor, source.width / factor)
            resized, boxes, labels = augment(self.transform, image, boxes, source.labels, seed)
        return Sample(resized, boxes, labels, index, (source.height, source.width), bad_images)


class EpochSampler(Sampler[tuple[int, int]]):
    """Yields (epoch, index). The order depends only on seed and epoch, not on earlier epochs.

    With several ranks, each takes every ``world_size``-th index. Shuffled orders are padded to equal lengths, so that
    no rank waits for another; unshuffled orders, for evaluation, contain every image once.

    The length is that of a whole epoch, even if the next iteration starts in the middle of one.
    """

    def __init__(self, length: int, shuffle: bool, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.length = length
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.first = 0

    def seek(self, epoch: int, first: int = 0) -> None:
        """Choose the epoch of the next iteration, and how many of this rank's indices to skip at its start."""
        self.epoch = epoch
        self.first = first

    def __len__(self) -> int:
        total = self.length + (-self.length % self.world_size if self.shuffle else 0)
        return len(range(self.rank, total, self.world_size))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.arange(self.length)
        if self.shuffle:
            np.random.default_rng((self.seed, self.epoch)).shuffle(order)
            order = np.resize(order, self.length + -self.length % self.world_size)
        return ((self.epoch, index) for index in order[self.rank :: self.world_size][self.first :].tolist())


class DetectionLoader(DataLoader[Sample | UserError]):
    """A DataLoader of ``Batch``; build it with ``build_loader``.

    Attributes:
        bad_images: every distinct text of the batches' ``bad_images`` so far.
    """

    bad_images: dict[str, None]  # a set that keeps its order
    on_bad_data: OnBadData
    dataset: DetectionDataset
    sampler: EpochSampler

    def set_epoch(self, epoch: int) -> None:
        """Choose the order and the augmentation of the next iteration."""
        self.sampler.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # DataLoader names its private iterator
        """Yield the batches of one epoch.

        Raises:
            UserError: an image cannot be used and ``on_bad_data`` is ``error``, or no image can be used.
        """
        usable = 0
        batch: Batch
        for batch in super().__iter__():
            self.bad_images.update(dict.fromkeys(batch.bad_images))
            if batch.bad_images and self.on_bad_data == "error":
                raise UserError(f"{batch.bad_images[0]}; fix it or pass --on-bad-data skip")
            if len(batch):
                usable += 1
                yield batch
            elif self.dataset.substitute_bad:
                raise UserError(f"too many images in a row cannot be used, such as: {batch.bad_images[0]}")
        if self.bad_images and not usable:
            raise UserError(f"no image can be used, such as: {next(iter(self.bad_images))}")


def build_loader(
    dataset: DetectionSet,
    batch_size: int,
    *,
    transform: Transform | None,
    spec: InputSpec,
    shuffle: bool,
    workers: int,
    seed: int = 0,
    drop_last: bool = False,
    on_bad_data: OnBadData = "error",
    cache_images: Literal["auto"] | bool = "auto",
    disk_cache: ImageCache | None = None,
    rank: int = 0,
    world_size: int = 1,
) -> DetectionLoader:
    """Make a loader of ``dataset`` for a model's input.

    Args:
        dataset: the images.
        batch_size: images per batch; the last batch may be smaller.
        transform: training augmentation that ends in the input's size; None only resizes.
        spec: description of the input.
        shuffle: use a new order in each epoch; see ``DetectionLoader.set_epoch``.
        workers: number of processes that decode; 0 decodes in this process.
        seed: random seed of order and augmentation.
        drop_last: leave out a last batch that is not full.
        on_bad_data: what to do with an image that cannot be decoded or does not have the annotated size. ``error``
            raises; ``skip`` reports it in ``bad_images`` and, when shuffling, replaces it by the next image, so that
            batches stay full; otherwise it is left out, so that no image is scored twice.
        cache_images: keep decoded images in memory; ``auto`` does so below 1 GiB if workers can share the memory.
        disk_cache: keep decoded training images there instead, see ``training_cache``.
        rank, world_size: number of this process and of all processes that train together; each gets its share of the
            images.

    Raises:
        UserError: ``drop_last`` would leave no batch; or an image that is kept in memory cannot be used and
            ``on_bad_data`` is ``error``.
    """
    sampler = EpochSampler(len(dataset.images), shuffle, seed, rank, world_size)
    if drop_last and len(sampler) < batch_size:
        raise UserError(
            f"{dataset.annotations} has {len(sampler)} images for each process, fewer than the batch size "
            f"{batch_size}; choose a smaller batch"
        )
    samples = DetectionDataset(
        dataset,
        transform=transform,
        spec=spec,
        seed=seed,
        substitute_bad=shuffle and on_bad_data == "skip",
        cache_images=disk_cache is None and _should_cache(dataset, workers) if cache_images == "auto" else cache_images,
        disk_cache=disk_cache,
    )
    if samples.unreadable and on_bad_data == "error":  # known before any work is done
        count = f" ({len(samples.unreadable)} bad images in all)" if len(samples.unreadable) > 1 else ""
        raise UserError(f"{samples.unreadable[0]}; fix it or pass --on-bad-data skip{count}")
    loader = DetectionLoader(
        samples,
        batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        drop_last=drop_last,
        worker_init_fn=_init_worker,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers > 0 else None,
        generator=torch.Generator().manual_seed(seed),  # by default each epoch would use torch's global generator
    )
    loader.bad_images = dict.fromkeys(samples.unreadable)
    loader.on_bad_data = on_bad_data
    return loader


def min_decoded_size(height: int, width: int) -> tuple[int, int]:
    """The smallest height and width that training images are decoded to for an input of height x width."""
    return SPARE_RESOLUTION * height, SPARE_RESOLUTION * width


def training_cache(folder: Path, height: int, width: int) -> ImageCache:
    """A cache on disk of decoded training images for an input of height x width."""
    return ImageCache(folder, *min_decoded_size(height, width))


def collate(samples: list[Sample | UserError]) -> Batch:
    """Stack samples into a batch. Errors become texts in ``bad_images``, so that N may be smaller than
    ``len(samples)``, even 0."""
    good = [sample for sample in samples if isinstance(sample, Sample)]
    failures = tuple(str(sample) for sample in samples if isinstance(sample, UserError))
    bad_images = sum((sample.bad_images for sample in good), failures)
    if not good:
        nothing = torch.zeros(0, dtype=torch.int64)
        return Batch(nothing, nothing, nothing, nothing, nothing, bad_images)
    counts = np.array([len(sample.labels) for sample in good])
    present = np.arange(max(1, counts.max())) < counts[:, None]
    boxes = np.zeros((*present.shape, 4), np.float32)
    boxes[present] = np.concatenate([sample.boxes for sample in good])
    labels = np.full(present.shape, PADDING_LABEL, np.int64)
    labels[present] = np.concatenate([sample.labels for sample in good])
    return Batch(
        images=torch.from_numpy(np.stack([sample.image for sample in good])).permute(0, 3, 1, 2),
        boxes=torch.from_numpy(boxes),
        labels=torch.from_numpy(labels),
        indices=torch.tensor([sample.index for sample in good]),
        original_sizes=torch.tensor([sample.original_size for sample in good]),
        bad_images=bad_images,
    )


def _should_cache(dataset: DetectionSet, workers: int) -> bool:
    shared = workers == 0 or multiprocessing.get_start_method() == "fork"  # other methods would copy it to each worker
    return shared and 3 * sum(image.height * image.width for image in dataset.images) < CACHE_BYTES


def _init_worker(worker: int) -> None:
    use_one_thread()
    torch.set_num_threads(1)
    # Ctrl-C reaches all processes, but the training process may need the next batch before it saves and ends
    signal.signal(signal.SIGINT, signal.SIG_IGN)
