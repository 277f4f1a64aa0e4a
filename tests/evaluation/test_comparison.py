import dataclasses
from collections.abc import Callable

from mobiledet.evaluation.comparison import compare, short_names
from mobiledet.evaluation.result import Result

Variant = Callable[..., Result]


def test_pareto_front_by_hand(variant: Variant) -> None:
    results = [
        variant("a", ms=5, ap=0.20),
        variant("b", ms=10, ap=0.30),
        variant("c", ms=12, ap=0.28),  # slower and worse than b
        variant("d", ms=20, ap=0.30),  # slower than b, no better
        variant("e", ms=30, ap=0.40),
    ]
    (comparison,) = compare(results)
    (series,) = comparison.series
    assert [(p.name, p.on_front) for p in series.points] == [
        ("a", True),
        ("b", True),
        ("c", False),
        ("d", False),
        ("e", True),
    ]


def test_devices_have_fronts_of_their_own(variant: Variant) -> None:
    (comparison,) = compare([variant("a", ms=5, ap=0.3), variant("b", ms=50, ap=0.2, device="adb:1")])
    assert len(comparison.series) == 2
    assert len({series.name for series in comparison.series}) == 2
    assert all(point.on_front for point in comparison.points)


def test_threads_make_another_series(variant: Variant) -> None:
    one = variant("a")
    two = dataclasses.replace(one, execution=dataclasses.replace(one.execution, threads=4))
    (comparison,) = compare([one, two])
    assert ["1 thread" in comparison.series[0].name, "4 threads" in comparison.series[1].name] == [True, True]


def test_image_lists_are_never_mixed(variant: Variant) -> None:
    comparisons = compare([variant("a", images="x"), variant("b", images="y"), variant("c", images="x")])
    assert sorted(len(comparison.points) for comparison in comparisons) == [1, 2]


def test_incomplete_results_are_left_out(variant: Variant) -> None:
    whole = variant("a")
    assert compare([dataclasses.replace(whole, accuracy=None), dataclasses.replace(whole, latency=None)]) == []
    assert compare([variant("a", ap=-1)]) == []


def test_short_names(variant: Variant) -> None:
    names = [("shuffle_0.5x-ssd-320", "float32"), ("shuffle_1x-ssd-320", "float32"), ("shuffle_1x-ssd-320", "int8")]
    assert short_names([variant(n, p) for n, p in names]) == [
        "shuffle_0.5x float32",
        "shuffle_1x float32",
        "shuffle_1x int8",
    ]
    assert short_names([variant("a-b", "int8"), variant("a-b", "float16")]) == ["int8", "float16"]
    assert short_names([variant("a-b", "int8")]) == ["a-b int8"]
    assert short_names([variant("a-b", "int8"), variant("c", "int8")]) == ["a-b int8", "c int8"]
