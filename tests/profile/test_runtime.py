import pytest

from mobiledet.profile.runtime import RUN_KINDS, kind_of, summarise


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Convolution (NHWC, F32) DWConv", "convolution"),
        ("Fully Connected (NC, F32) GEMM", "convolution"),
        ("CONV_2D", "convolution"),
        ("Add (ND, F32)", "element-wise"),
        ("LOGISTIC", "element-wise"),
        ("Transpose (ND, X32) Transpose", "data movement"),
        ("Copy (NC, X32)", "data movement"),
        ("GATHER_ND", "data movement"),
        ("Max Pooling (NHWC, F32)", "other"),
        ("TOPK_V2", "other"),
        ("a name of tomorrow", "other"),
    ],
)
def test_kinds(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_sums() -> None:
    times = [("Copy (NC, X32)", 1.0), ("CONV_2D", 4.0), ("Copy (NC, X32)", 2.0), ("SOFTMAX", 1.0)]
    run_time = summarise(times, whole_ms=10.0, runs=30, threads=2)
    assert [(o.name, o.count, o.ms) for o in run_time.operations] == [
        ("CONV_2D", 1, 4.0),
        ("Copy (NC, X32)", 2, 3.0),
        ("SOFTMAX", 1, 1.0),
    ]
    assert run_time.coverage == pytest.approx(0.8)
    assert tuple(run_time.shares) == RUN_KINDS
    assert run_time.shares == pytest.approx(
        {"convolution": 0.5, "element-wise": 0, "data movement": 0.375, "other": 0.125}
    )
