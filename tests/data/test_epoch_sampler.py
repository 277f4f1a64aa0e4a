import pytest

from mobiledet.data.loader import EpochSampler


@pytest.mark.parametrize("rank", [0, 1])
def test_an_epoch_goes_on_from_its_middle(rank: int) -> None:
    sampler = EpochSampler(11, shuffle=True, seed=3, rank=rank, world_size=2)
    sampler.seek(5)
    whole = list(sampler)
    sampler.seek(5, first=2)
    assert list(sampler) == whole[2:]
    assert len(sampler) == len(whole) == 6
    sampler.seek(6)
    assert {epoch for epoch, _ in sampler} == {6}
    assert len(list(sampler)) == 6


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_a_step_has_the_same_images_for_any_number_of_processes(world_size: int) -> None:
    shares = []
    for rank in range(world_size):
        sampler = EpochSampler(24, shuffle=True, seed=0, rank=rank, world_size=world_size)
        indices = [index for _, index in sampler]
        shares.append([set(indices[i : i + 8 // world_size]) for i in range(0, len(indices), 8 // world_size)])
    alone = [index for _, index in EpochSampler(24, shuffle=True, seed=0)]
    for step in range(3):
        assert set.union(*(share[step] for share in shares)) == set(alone[8 * step : 8 * step + 8])
