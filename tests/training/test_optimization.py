import copy

import pytest
import torch
from torch import nn

from mobiledet.backbones import build_backbone
from mobiledet.detectors import build_detector
from mobiledet.training.config import TrainConfig
from mobiledet.training.optimization import AveragedWeights, build_optimizer, learning_rate, parameter_groups


def test_every_parameter_is_in_one_group_and_only_convolutions_decay() -> None:
    model = build_detector("ssdlite_fpn", build_backbone("shufflenet_v2_0.5x"), 3, (64, 64))
    with_decay, without = parameter_groups(model, 0.1)
    assert with_decay["weight_decay"] == 0.1
    assert without["weight_decay"] == 0.0
    decaying = {id(p) for p in with_decay["params"]}
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            assert id(module.weight) in decaying
        if isinstance(module, nn.BatchNorm2d):
            assert id(module.weight) not in decaying
    assert len(with_decay["params"]) + len(without["params"]) == len(list(model.parameters()))


def test_depthwise_convolutions_can_be_left_without_decay() -> None:
    model = build_detector("ssdlite", build_backbone("mobilenet_v1_0.25x"), 3, (64, 64))
    with_decay, without = parameter_groups(model, 0.1, decay_depthwise=False)
    decaying = {id(p) for p in with_decay["params"]}
    exempt = {id(p) for p in without["params"]}
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    depthwise = [module for module in convolutions if module.weight.shape[1] == 1]
    assert 13 < len(depthwise) < len(convolutions)
    for module in convolutions:
        assert id(module.weight) in (exempt if module in depthwise else decaying)
    assert len(decaying) + len(exempt) == len(list(model.parameters()))


def test_cosine_rises_linearly_and_falls_to_its_floor() -> None:
    lr = learning_rate(TrainConfig(lr=1.0, epochs=10, warmup_steps=10), steps_per_epoch=100)
    assert [lr(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    values = [lr(step) for step in range(10, 1000)]
    assert values == sorted(values, reverse=True)
    assert lr(505) == pytest.approx(0.51, abs=0.01)
    assert lr(1000) == pytest.approx(0.02)


def test_steps_are_those_of_torch() -> None:
    config = TrainConfig(lr=0.3, epochs=6, schedule="steps", lr_steps=(3, 5), lr_gamma=0.2, warmup_steps=0)
    lr = learning_rate(config, steps_per_epoch=2)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5], 0.2)
    for epoch in range(6):
        for step in range(2 * epoch, 2 * epoch + 2):
            assert lr(step) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()


def test_warm_up_is_at_most_a_tenth_of_a_short_run() -> None:
    assert learning_rate(TrainConfig(lr=1.0, epochs=5, warmup_steps=300), 10)(5) == pytest.approx(1.0)


def test_learning_rate_follows_the_batch() -> None:
    config = TrainConfig(lr=0.15, lr_batch_size=192, batch_size=64, epochs=1, warmup_steps=0)
    assert learning_rate(config, 10)(0) == pytest.approx(0.05)


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_optimizer_has_its_settings(name: str, kind: type[torch.optim.Optimizer]) -> None:
    model = build_detector("ssdlite_fpn", build_backbone("shufflenet_v2_0.5x"), 3, (64, 64))
    config = TrainConfig(optimizer=name, momentum=0.8, weight_decay=0.3)  # type: ignore[arg-type]
    optimizer = build_optimizer(config, model)
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["weight_decay"] == 0.3
    assert name == "adamw" or optimizer.param_groups[0]["momentum"] == 0.8


def test_frozen_parameters_are_left_out() -> None:
    model = build_detector("ssdlite_fpn", build_backbone("shufflenet_v2_0.5x"), 3, (64, 64))
    model.backbone.requires_grad_(False)
    held = {id(p) for group in build_optimizer(TrainConfig(), model).param_groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters()} - {id(p) for p in model.backbone.parameters()}


def test_statistics_go_out_and_in_again() -> None:
    model = build_detector("ssdlite_fpn", build_backbone("shufflenet_v2_0.5x"), 3, (64, 64))
    average = AveragedWeights(model, decay=0.9)
    model(torch.randn(2, 3, 64, 64))
    average.update(0)
    other = AveragedWeights(copy.deepcopy(model), decay=0.9)
    other.restore_statistics(average.statistics())
    for (name, mine), copied in zip(average.model.named_buffers(), other.model.buffers(), strict=True):
        assert torch.equal(mine, copied), name


def test_average_is_the_exponential_moving_average() -> None:
    torch.manual_seed(0)
    model = build_detector("ssdlite_fpn", build_backbone("shufflenet_v2_0.5x"), 3, (64, 64))
    average = AveragedWeights(model, decay=0.9)
    expected = copy.deepcopy(model.state_dict())
    for step in range(3, 6):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        model(torch.randn(2, 3, 64, 64))  # moves the statistics and counters
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                expected[name] = decay * expected[name] + (1 - decay) * value
            else:
                expected[name] = value.clone()
    for name, value in average.model.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)


def test_decay_zero_follows_the_weights() -> None:
    model = build_detector("ssdlite_fpn", build_backbone("shufflenet_v2_0.5x"), 3, (64, 64))
    average = AveragedWeights(model, decay=0.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    average.update(0)
    for mine, followed in zip(average.model.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.equal(mine, followed)
