import torch

from mobiledet.ops.distances import corner_priors, decode_distances, encode_distances, expected_distances


def test_priors_are_the_corners_of_the_cells() -> None:
    priors = corner_priors([(2, 3), (1, 2)], [8, 16])
    assert priors.tolist() == [
        [0, 0, 8],
        [8, 0, 8],
        [16, 0, 8],
        [0, 8, 8],
        [8, 8, 8],
        [16, 8, 8],
        [0, 0, 16],
        [16, 0, 16],
    ]


def test_sure_bins_are_whole_distances() -> None:
    logits = torch.full((1, 4, 8), -1e4)
    for side, bin in enumerate((0, 3, 7, 1)):
        logits[0, side, bin] = 0
    logits[0, 3, 2] = 0  # half and half
    distances = expected_distances(logits.flatten(1), 8)
    torch.testing.assert_close(distances, torch.tensor([[0.0, 3.0, 7.0, 1.5]]))
    boxes = decode_distances(distances, torch.tensor([[32.0, 64.0, 16.0]]))
    torch.testing.assert_close(boxes, torch.tensor([[32.0, 16.0, 144.0, 88.0]]))


def test_coding_goes_there_and_back() -> None:
    priors = corner_priors([(4, 4)], [8])
    boxes = torch.rand(2, 16, 4) * 30 + torch.tensor([0.0, 0.0, 30.0, 30.0])
    torch.testing.assert_close(decode_distances(encode_distances(boxes, priors), priors), boxes)
