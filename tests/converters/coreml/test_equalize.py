import torch
from torch import Tensor, nn

from mobiledet_converters.coreml.equalize import equalize, find_pairs
from mobiledet_converters.coreml.quantize import fold_normalisation
from mobiledet_converters.equalization import IMAGES, channel_factors, sample


class NoPair(nn.Module):
    """Convolutions with a product, a bound and a second reader in between, and one that serves twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third, self.fourth, self.fifth = (
            nn.Conv2d(8, 8, 3, 1, 1, groups=8) for _ in range(5)
        )
        self.bounded = nn.ReLU6()

    def forward(self, images: Tensor) -> Tensor:
        maps = self.second(self.first(images) * images)
        maps = self.third(self.bounded(maps))
        maps = self.fourth(maps) + maps
        return self.fifth(self.fifth(maps))


def test_channels_get_one_range_and_outputs_stay() -> None:
    torch.manual_seed(0)
    first = nn.Conv2d(3, 8, 1)
    first.weight.data = torch.logspace(-1, 0.5, 8).view(8, 1, 1, 1).expand(8, 3, 1, 1).clone()
    layers = [first, nn.LeakyReLU(0.1), nn.Conv2d(8, 8, 3, 2, 1, groups=8), nn.LeakyReLU(0.1), nn.Conv2d(8, 4, 1)]
    network = nn.Sequential(*layers).eval()
    images = [torch.rand(1, 3, 16, 16) for _ in range(4)]
    folded = fold_normalisation(network)
    (pair,) = find_pairs(folded)
    assert equalize(folded, images) == 1

    with torch.no_grad():
        seen = torch.cat([nn.functional.leaky_relu(pair.first(image), 0.1) for image in images])
        before = torch.cat([network[1](network[0](image)) for image in images])
        for image in images:
            torch.testing.assert_close(folded(image), network(image), rtol=1e-4, atol=1e-5)
    spreads = [values.abs().amax((0, 2, 3)) for values in (before, seen)]
    assert spreads[0].max() / spreads[0].min() > 20
    assert spreads[1].max() / spreads[1].min() < 1.2


def test_what_somebody_else_reads_stays() -> None:
    assert not find_pairs(fold_normalisation(NoPair()))


def test_silent_channels_get_no_endless_factor() -> None:
    ranges = torch.tensor([[0.0, 1.0, 4.0]]).numpy()
    assert channel_factors(ranges).tolist() == [64, 4, 1]
    assert channel_factors(ranges * 0).tolist() == [1, 1, 1]


def test_some_images_stand_for_all() -> None:
    images = torch.arange(128).view(-1, 1, 1, 1).numpy()
    assert len(sample(images)) == IMAGES
    assert sample(images)[[0, -1]].ravel().tolist() == [0, 127]
    assert len(sample(images[:3])) == 3
