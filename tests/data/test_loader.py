import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mobiledet.data.coco import load_coco
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.images import load_for_input, load_rgb
from mobiledet.data.loader import Batch, DetectionLoader, EpochSampler, build_loader, training_cache
from mobiledet.data.read import load_split
from mobiledet.data.resize import resize, resize_to_input
from mobiledet.data.transforms import Augmentation, train_transform
from mobiledet.errors import UserError
from mobiledet.spec import InputSpec

SIZE = InputSpec(64, 96)


SIZE = InputSpec(64, 96)


@pytest.fixture(scope="module")
def shapes(shapes_dir: Path) -> DetectionSet:
    return load_split(shapes_dir, "train")


def training_loader(dataset: DetectionSet, batch_size: int = 8, **options: Any) -> DetectionLoader:
    settings: dict[str, Any] = {"workers": 0, "seed": 5, "drop_last": True, "shuffle": True, **options}
    return build_loader(dataset, batch_size, transform=train_transform(SIZE), spec=SIZE, **settings)


def evaluation_loader(dataset: DetectionSet, batch_size: int = 8, **options: Any) -> DetectionLoader:
    settings: dict[str, Any] = {"workers": 0, "shuffle": False, **options}
    return build_loader(dataset, batch_size, transform=None, spec=SIZE, **settings)


def epoch_of(loader: DetectionLoader, epoch: int) -> list[Batch]:
    loader.set_epoch(epoch)
    return list(loader)


def assert_same(first: list[Batch], second: list[Batch]) -> None:
    for one, two in zip(first, second, strict=True):
        for field in dataclasses.fields(Batch):
            a, b = getattr(one, field.name), getattr(two, field.name)
            assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b, field.name


def test_evaluation_batches_hold_every_image_in_order(shapes: DetectionSet) -> None:
    batches = list(evaluation_loader(shapes, batch_size=16))
    assert [len(batch) for batch in batches] == [16, 16, 8]
    assert torch.cat([batch.indices for batch in batches]).tolist() == list(range(40))
    rows = [
        (batch.images[i], batch.boxes[i], batch.labels[i], batch.original_sizes[i])
        for batch in batches
        for i in range(len(batch))
    ]
    for source, (image, boxes, labels, size) in zip(shapes.images, rows, strict=True):
        decoded = load_for_input(source.path, SIZE)  # as a device does
        pixels = resize_to_input(decoded.pixels, SIZE, decoded.extent)
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), pixels)
        assert size.tolist() == [source.height, source.width]
        count = len(source.labels)
        assert labels[:count].tolist() == source.labels.tolist()
        assert (labels[count:] == -1).all()
        assert (boxes[count:] == 0).all()
        scale = np.array([96 / source.width, 64 / source.height] * 2)
        np.testing.assert_allclose(boxes[:count].numpy(), source.boxes_xyxy * scale, rtol=1e-5)


def test_layout_of_a_batch(shapes: DetectionSet) -> None:
    batch = next(iter(training_loader(shapes)))
    assert batch.images.shape == (8, 3, 64, 96)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.labels.dtype == batch.indices.dtype == batch.original_sizes.dtype == torch.int64
    most = int((batch.labels >= 0).sum(dim=1).max())
    assert batch.labels.shape == (8, most)
    assert batch.boxes.shape == (8, most, 4)
    assert batch.boxes.dtype == torch.float32
    moved = batch.to("meta")
    assert {moved.images.device.type, moved.boxes.device.type, moved.original_sizes.device.type} == {"meta"}
    assert moved.images.is_contiguous(memory_format=torch.channels_last)


def test_batch_without_any_box_has_one_row_of_padding(tiny_coco: Any) -> None:
    tiny_coco.content["annotations"].clear()
    tiny_coco.save()
    (batch,) = evaluation_loader(load_coco(tiny_coco.images_dir, tiny_coco.annotations))
    assert batch.boxes.tolist() == [[[0, 0, 0, 0]]] * 3
    assert batch.labels.tolist() == [[-1]] * 3


def test_batches_do_not_depend_on_the_number_of_workers(shapes: DetectionSet) -> None:
    alone, two = training_loader(shapes), training_loader(shapes, workers=2)
    for epoch in (0, 1):
        assert_same(epoch_of(alone, epoch), epoch_of(two, epoch))


def test_epoch_is_the_same_whether_or_not_earlier_ones_ran(shapes: DetectionSet) -> None:
    through = training_loader(shapes, workers=1)
    epochs = [epoch_of(through, epoch) for epoch in range(3)]
    next(iter(through))  # an epoch that is broken off changes nothing either
    torch.manual_seed(123)
    np.random.seed(123)
    assert_same(epochs[2], epoch_of(training_loader(shapes), 2))
    ids = [torch.cat([batch.indices for batch in epoch]).tolist() for epoch in epochs]
    assert ids[0] != ids[1] != ids[2]
    assert all(sorted(order) == list(range(40)) for order in ids)


def test_augmentation_changes_with_the_epoch_and_the_seed(shapes: DetectionSet) -> None:
    def pictures(seed: int, epoch: int) -> set[bytes]:
        batches = epoch_of(training_loader(shapes, seed=seed), epoch)
        return {image.numpy().tobytes() for batch in batches for image in batch.images}

    first = pictures(5, 0)
    assert len(first) == 40
    # a few pass without crop, flip or colour in both
    assert len(first & pictures(5, 1)) < 8
    assert len(first & pictures(6, 0)) < 8


def test_loading_leaves_the_global_random_state_alone(shapes: DetectionSet) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    epoch_of(training_loader(shapes), 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_cached_pictures_are_the_same(shapes: DetectionSet, monkeypatch: pytest.MonkeyPatch) -> None:
    cached, fresh = (training_loader(shapes, cache_images=value) for value in (True, False))
    for epoch in (0, 1):
        assert_same(epoch_of(cached, epoch), epoch_of(fresh, epoch))
    monkeypatch.setattr("mobiledet.data.loader.load_reduced", None)  # from here on only the cache can serve
    assert len(epoch_of(cached, 2)) == 5
    with pytest.raises(TypeError):
        epoch_of(fresh, 2)


@pytest.mark.parametrize("shuffle", [True, False])
def test_ranks_share_the_images(shuffle: bool) -> None:
    samplers = [EpochSampler(10, shuffle, seed=1, rank=rank, world_size=4) for rank in range(4)]
    parts = [[index for _, index in sampler] for sampler in samplers]
    assert [len(sampler) for sampler in samplers] == [len(part) for part in parts]
    assert {index for part in parts for index in part} == set(range(10))
    if shuffle:
        assert {len(part) for part in parts} == {3}
    else:
        assert sorted(index for part in parts for index in part) == list(range(10))


@pytest.mark.parametrize("workers", [0, 2])
def test_disk_cache_changes_nothing_but_the_decoding(
    shapes: DetectionSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    cache = training_cache(tmp_path, 64, 96)
    cached = training_loader(shapes, disk_cache=cache, workers=workers)
    fresh = training_loader(shapes, cache_images=False)
    for epoch in (0, 1):
        assert_same(epoch_of(cached, epoch), epoch_of(fresh, epoch))
    assert len(list(tmp_path.glob("*/*.npy"))) == len(shapes.images)
    monkeypatch.setattr("mobiledet.data.image_cache.load_reduced", None)  # from here on only the cache can serve
    assert_same(epoch_of(training_loader(shapes, disk_cache=training_cache(tmp_path, 64, 96)), 2), epoch_of(fresh, 2))


def test_training_and_evaluation_see_about_the_same_and_decode_no_more_than_they_need(tmp_path: Path) -> None:
    smooth = cv2.resize(np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8), (803, 601))
    (tmp_path / "train2017").mkdir()
    (tmp_path / "annotations").mkdir()
    Image.fromarray(smooth).save(tmp_path / "train2017" / "a.jpg", quality=95)
    listing = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 803, "height": 601}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [100.5, 50, 400, 300]}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "annotations" / "instances_train2017.json").write_text(json.dumps(listing))
    dataset = load_split(tmp_path, "train")
    still = Augmentation(crop_probability=0.0, flip_probability=0.0, colour_probability=0.0)
    options: dict[str, Any] = {"spec": SIZE, "workers": 0}
    (trained,) = build_loader(dataset, 1, transform=train_transform(SIZE, still), shuffle=True, **options)
    (judged,) = build_loader(dataset, 1, transform=None, shuffle=False, **options)
    in_full = resize(load_rgb(dataset.images[0].path), 64, 96).astype(int)
    assert np.abs(judged.images[0].permute(1, 2, 0).numpy() - in_full).mean() < 1
    assert trained.original_sizes.tolist() == judged.original_sizes.tolist() == [[601, 803]]
    np.testing.assert_allclose(trained.boxes, judged.boxes, atol=0.3)  # the view is cut to whole blocks
    difference = np.abs(trained.images.numpy().astype(int) - judged.images.numpy())
    assert 0 < difference.mean() < 1.5


# ------------------------------------------------------------------------------------------------------- bad pictures


@pytest.fixture
def damaged(tiny_coco: Any) -> DetectionSet:
    """Three images of which the second, b.jpg, is cut short."""
    path = tiny_coco.images_dir / "b.jpg"
    path.write_bytes(path.read_bytes()[:-40])
    return load_coco(tiny_coco.images_dir, tiny_coco.annotations)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("cache_images", [True, False])
def test_bad_image_is_a_one_line_error(damaged: DetectionSet, workers: int, cache_images: bool) -> None:
    loaded: list[int] = []
    text = ""
    # not pytest.raises: it keeps the frames, and workers of a loader that only the garbage collector finds stop late
    try:
        for batch in evaluation_loader(damaged, batch_size=1, workers=workers, cache_images=cache_images):
            loaded += batch.indices.tolist()
    except UserError as error:
        text = str(error)
    assert loaded == ([] if cache_images else [0])  # one in memory is known before the first batch
    assert re.fullmatch(r"cannot decode image \S*b\.jpg: .*; fix it or pass --on-bad-data skip", text)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_evaluation_leaves_a_bad_image_out(damaged: DetectionSet, workers: int, batch_size: int) -> None:
    loader = evaluation_loader(damaged, batch_size, workers=workers, on_bad_data="skip")
    batches = list(loader)
    assert torch.cat([batch.indices for batch in batches]).tolist() == [0, 2]
    assert all(len(batch) for batch in batches)
    (text,) = loader.bad_images
    assert "b.jpg" in text


def test_training_takes_the_next_image_for_a_bad_one(damaged: DetectionSet) -> None:
    loader = training_loader(damaged, batch_size=3, workers=1, on_bad_data="skip")
    for epoch in range(2):
        (batch,) = epoch_of(loader, epoch)
        assert sorted(batch.indices.tolist()) == [0, 2, 2]
        assert ["b.jpg" in text for text in batch.bad_images] == [True]
    assert len(loader.bad_images) == 1


@pytest.mark.parametrize("training", [True, False])
def test_only_bad_images_are_an_error_even_when_skipping(damaged: DetectionSet, training: bool) -> None:
    for image in damaged.images:
        image.path.write_bytes(b"broken")
    build = training_loader if training else evaluation_loader
    with pytest.raises(UserError, match=r"can(not)? be used, such as: cannot decode image .*\.jpg"):
        list(build(damaged, batch_size=1, on_bad_data="skip"))


def test_image_of_another_size_than_annotated(tiny_coco: Any) -> None:
    tiny_coco.content["images"][2].update(width=61)
    tiny_coco.save()
    with pytest.raises(UserError, match=r"c\.jpg\) is 60 x 40 pixels, but its annotations say 61 x 40"):
        load_coco(tiny_coco.images_dir, tiny_coco.annotations)


def test_image_whose_size_changes_after_the_check(tiny_coco: Any) -> None:
    dataset = load_coco(tiny_coco.images_dir, tiny_coco.annotations)
    Image.fromarray(np.zeros((40, 61, 3), np.uint8)).save(tiny_coco.images_dir / "c.jpg")
    with pytest.raises(UserError, match=r"c\.jpg is 61 x 40 pixels, but .*instances_val2017\.json says 60 x 40"):
        list(evaluation_loader(dataset))


def test_batch_larger_than_the_training_set(shapes: DetectionSet) -> None:
    with pytest.raises(UserError, match="has 40 images for each process, fewer than the batch size 64"):
        training_loader(shapes, batch_size=64)
