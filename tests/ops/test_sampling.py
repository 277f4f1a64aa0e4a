import torch

from mobiledet.ops.matching import BACKGROUND, IGNORED
from mobiledet.ops.sampling import sample_balanced


def matched(foreground: int, background: int, ignored: int) -> torch.Tensor:
    kinds = [3] * foreground + [BACKGROUND] * background + [IGNORED] * ignored
    return torch.tensor(kinds)[torch.randperm(len(kinds))]


def test_shares_of_foreground_and_background() -> None:
    torch.manual_seed(0)
    batch = torch.stack([matched(40, 100, 60), matched(3, 150, 47), matched(30, 5, 165), matched(0, 4, 196)])
    index, sampled = sample_balanced(batch, 32, 0.25)
    assert index.shape == sampled.shape == (4, 32)
    kinds = batch.gather(1, index)
    assert (kinds[sampled] != IGNORED).all()
    assert ((kinds >= 0) & sampled).sum(1).tolist() == [8, 3, 8, 0]
    assert ((kinds == BACKGROUND) & sampled).sum(1).tolist() == [24, 29, 5, 4]
    for row, taken in zip(index, sampled, strict=True):
        assert len(row[taken].unique()) == taken.sum()


def test_every_candidate_has_the_same_chance() -> None:
    torch.manual_seed(0)
    row = torch.tensor([0] * 10 + [BACKGROUND] * 30)
    index, sampled = sample_balanced(row.expand(4000, -1), 10, 0.5)
    assert sampled.all()
    chance = torch.bincount(index.flatten(), minlength=40) / 4000
    torch.testing.assert_close(chance[:10], torch.full((10,), 0.5), atol=0.05, rtol=0)
    torch.testing.assert_close(chance[10:], torch.full((30,), 5 / 30), atol=0.03, rtol=0)


def test_more_is_asked_for_than_there_is() -> None:
    index, sampled = sample_balanced(torch.tensor([[0, BACKGROUND, IGNORED]]), 64, 0.5)
    assert index.shape == (1, 3)
    assert sampled.tolist() == [[True, True, False]]
