import dataclasses
from collections.abc import Callable

from mobiledet.evaluation.comparison import compare, short_names, style
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


def test_browsers_never_share_an_axis_with_native_runtimes(variant: Variant) -> None:
    native = variant("a")
    wasm = dataclasses.replace(native, device=dataclasses.replace(native.device, runtime="litert-wasm"))
    apart = {comparison.apart: comparison for comparison in compare([native, wasm])}
    assert set(apart) == {"", "in a browser (litert-wasm)"}
    assert [len(comparison.points) for comparison in apart.values()] == [1, 1]
    assert apart["in a browser (litert-wasm)"].title.endswith("6 images, in a browser (litert-wasm)")


def test_pace_makes_another_series(variant: Variant) -> None:
    result = variant("a")
    assert result.latency
    plan = dataclasses.replace(result.latency.plan, fps=30)
    paced = dataclasses.replace(result, latency=dataclasses.replace(result.latency, plan=plan))
    (comparison,) = compare([result, paced])
    assert len(comparison.series) == 2
    assert comparison.series[1].name.endswith(", 30 images/s")


def test_ladders_join_the_precisions_of_one_bundle(variant: Variant) -> None:
    results = [variant("a", "float32", ms=9), variant("a", "int8", ms=4), variant("b", ms=5)]
    (comparison,) = compare(results)
    (ladder,) = comparison.series[0].ladders
    assert [point.result.file.precision for point in ladder] == ["int8", "float32"]


def test_first_36_series_look_different() -> None:
    assert len({style(index) for index in range(36)}) == 36
