"""Latency and size of a model file that was not measured, from those in a device's table.

A first forecast is a sum: so many milliseconds for each million of multiply-adds of a kind, for each million of numbers
that layers give, and so on (``costs.TERMS``), with the rates that fit the table best in relative terms and none below
zero. Channel shuffles, Ghost modules, suppression and the like cost more than their counts say: so each family and each
detector has a factor, and a forecast is corrected by what is left over at the rows that are most like it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from mobiledet.errors import UserError
from mobiledet.planning.costs import TERMS, Costs, costs_of
from mobiledet.profile.latency_table import LatencyRow, LatencyTable, Shape

LEAST_ROWS = 8
# distance between rows: 1 for each doubling of the costs at equal area, so much for each doubling of the area, ...
OTHER_SIZE, OTHER_FAMILY, OTHER_DETECTOR = 0.5, 2.0, 1.0
NEAREST = 0.25  # distance that counts as none
ROUNDS, SHRINKING = 30, 2.0  # of the fit of rates and factors; rows of no factor that count beside those of one
INSIDE = 0.9  # share of the left-out rows whose error is told


@dataclass(frozen=True)
class Forecast:
    """Of one model file.

    Attributes:
        ms: latency.
        bytes: size.
        measured: whether both stand in the table.
    """

    ms: float
    bytes: float
    measured: bool


class ForecastModel:
    """Forecasts for files of one precision.

    Args:
        table: of a device.
        precision: of its rows that serve.

    Raises:
        UserError: there are too few.
    """

    def __init__(self, table: LatencyTable, precision: str) -> None:
        rows = [row for row in table.rows if row.precision == precision]
        if len(rows) < LEAST_ROWS:
            raise UserError(
                f"the table of latencies holds {len(rows)} files of {precision}, {LEAST_ROWS} are needed; finish it "
                "with `mobiledet profile --all`"
            )
        self._rows = rows
        self._costs = [costs_of(row.shape) for row in rows]
        self._latencies = np.array([row.milliseconds for row in rows])
        self._measured = {
            row.shape: Forecast(ms, row.bytes, True) for row, ms in zip(rows, self._latencies.tolist(), strict=True)
        }
        self._ms = _Corrected(rows, self._costs, self._latencies, _latency_terms)
        self._bytes = _Corrected(rows, self._costs, np.array([row.bytes for row in rows]), _size_terms)

    def __call__(self, shape: Shape) -> Forecast:
        """Of a network; what was measured is told as it was.

        Raises:
            UserError: backbone or detector is unknown.
        """
        if measured := self._measured.get(shape):
            return measured
        costs = costs_of(shape)
        return Forecast(self._ms(shape, costs), self._bytes(shape, costs), measured=False)

    def error(self) -> float:
        """By how much latencies are missed, as a share, in ``INSIDE`` of the rows when each is left out in turn."""
        errors = []
        for index, row in enumerate(self._rows):
            rest = [other for other in range(len(self._rows)) if other != index]
            rows, costs = [self._rows[i] for i in rest], [self._costs[i] for i in rest]
            model = _Corrected(rows, costs, self._latencies[rest], _latency_terms)
            errors.append(abs(model(row.shape, self._costs[index]) / self._latencies[index] - 1))
        return float(np.quantile(errors, INSIDE))


class _Corrected:
    """A sum of terms at rates of at least zero, times a factor of the family and one of the detector, corrected by what
    is left over at the nearest rows.

    Args:
        rows: of the table, with their costs and the values to forecast.
        terms: of costs, that the sum is of.
    """

    def __init__(
        self,
        rows: Sequence[LatencyRow],
        costs: Sequence[Costs],
        values: NDArray[np.float64],
        terms: Callable[[Costs], NDArray[np.float64]],
    ) -> None:
        self._terms = terms
        self._rows = rows
        self._costs = costs
        matrix = np.stack([terms(cost) for cost in costs])
        groups = [_groups(row.shape) for row in rows]
        # all logarithms; a factor of few rows stays near one
        self._factors: dict[str, float] = dict.fromkeys((name for names in groups for name in names), 0.0)
        for _ in range(ROUNDS):
            scaled = values / np.exp([self._factor(names) for names in groups])
            self._rates = nnls(matrix / scaled[:, None], np.ones(len(values)))[0]
            left_over = np.log(values / (matrix @ self._rates))
            for name in self._factors:
                rest = [
                    left - self._factor(names) + self._factors[name]
                    for left, names in zip(left_over, groups, strict=True)
                    if name in names
                ]
                self._factors[name] = sum(rest) / (len(rest) + SHRINKING)
        self._left_over = np.log(values / (matrix @ self._rates)) - [self._factor(names) for names in groups]

    def __call__(self, shape: Shape, costs: Costs) -> float:
        distances = np.array(
            [_distance(shape, costs, row.shape, other) for row, other in zip(self._rows, self._costs, strict=True)]
        )
        weights = np.maximum(distances, NEAREST) ** -4.0
        correction = self._factor(_groups(shape)) + weights @ self._left_over / weights.sum()
        return float(self._terms(costs) @ self._rates * np.exp(correction))

    def _factor(self, names: tuple[str, ...]) -> float:
        return sum(self._factors.get(name, 0.0) for name in names)


def _groups(shape: Shape) -> tuple[str, str]:
    return family(shape.backbone), shape.detector


def _distance(one: Shape, costs: Costs, other: Shape, other_costs: Costs) -> float:
    areas = [shape.height * shape.width for shape in (one, other)]
    macs = [cost.macs / area for cost, area in zip((costs, other_costs), areas, strict=True)]
    return float(
        abs(np.log2(macs[0] / macs[1]))
        + OTHER_SIZE * abs(np.log2(areas[0] / areas[1]))
        + OTHER_FAMILY * (family(one.backbone) != family(other.backbone))
        + OTHER_DETECTOR * (one.detector != other.detector)
    )


def family(backbone: str) -> str:
    """``shufflenet_v1_1x_g3`` is one of shufflenet_v1."""
    return backbone.rsplit("x", 1)[0].rsplit("_", 1)[0]


def _latency_terms(costs: Costs) -> NDArray[np.float64]:
    return costs.terms


def _size_terms(costs: Costs) -> NDArray[np.float64]:
    """Weights, and what each layer and the file have beside them."""
    return np.array([costs.parameters / 1e6, costs.terms[TERMS.index("layers")], 1.0])
