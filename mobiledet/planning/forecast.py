"""Predicts latency and size of model files that were not measured, from a device's latency table.

The basic model is linear: a number of milliseconds for each million multiply-adds of a kind, for each million output
values, and so on (``costs.TERMS``), with non-negative rates that minimise the relative error over the table. Channel
shuffles, Ghost modules, suppression and the like cost more than their counts say: so there is a factor for each family
and each detector, and a prediction is corrected by the residuals of the most similar rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from mobiledet.errors import UserError
from mobiledet.planning.costs import TERMS, Costs, costs_of
from mobiledet.profile.latency_table import LatencyRow, LatencyTable, Shape

MIN_ROWS = 8
# distance between rows: 1 for each doubling of the costs at equal area, and these for each doubling of the area, for
# another family and for another detector
OTHER_SIZE, OTHER_FAMILY, OTHER_DETECTOR = 0.5, 2.0, 1.0
NEAREST = 0.25  # smaller distances count as this
ITERATIONS = 30  # of the alternating fit of rates and factors
SHRINKAGE = 2.0  # pseudo-count of rows with factor 1, which regularises the factors
ERROR_QUANTILE = 0.9  # quantile of the leave-one-out errors that is reported


@dataclass(frozen=True)
class Forecast:
    """Predicted latency and size of one model file.

    Attributes:
        ms: latency in milliseconds.
        bytes: size.
        measured: whether both are measured values from the table.
    """

    ms: float
    bytes: float
    measured: bool


class ForecastModel:
    """Forecasts for files of one precision.

    Args:
        table: latency table of a device.
        precision: precision of the rows to use.

    Raises:
        UserError: the table has too few such rows.
    """

    def __init__(self, table: LatencyTable, precision: str) -> None:
        rows = [row for row in table.rows if row.precision == precision]
        if len(rows) < MIN_ROWS:
            raise UserError(
                f"the latency table has {len(rows)} files of {precision}, {MIN_ROWS} are needed; complete it with "
                "`mobiledet profile --all`"
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
        """The forecast for a network; measured values are returned unchanged.

        Raises:
            UserError: backbone or detector is unknown.
        """
        if measured := self._measured.get(shape):
            return measured
        costs = costs_of(shape)
        return Forecast(self._ms(shape, costs), self._bytes(shape, costs), measured=False)

    def error(self) -> float:
        """The ``ERROR_QUANTILE`` of the relative latency errors if each row is predicted from the others."""
        errors = []
        for index, row in enumerate(self._rows):
            rest = [other for other in range(len(self._rows)) if other != index]
            rows, costs = [self._rows[i] for i in rest], [self._costs[i] for i in rest]
            model = _Corrected(rows, costs, self._latencies[rest], _latency_terms)
            errors.append(abs(model(row.shape, self._costs[index]) / self._latencies[index] - 1))
        return float(np.quantile(errors, ERROR_QUANTILE))


class _Corrected:
    """A linear model with non-negative rates, times factors of family and detector, corrected by nearby residuals.

    Args:
        rows: rows of the table.
        costs: their costs.
        values: the values to predict, one for each row.
        terms: function that extracts the terms of the linear model from costs.
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
        # logarithms of the factors; a factor with few rows stays near 1
        self._factors: dict[str, float] = dict.fromkeys((name for names in groups for name in names), 0.0)
        for _ in range(ITERATIONS):
            scaled = values / np.exp([self._factor(names) for names in groups])
            self._rates = nnls(matrix / scaled[:, None], np.ones(len(values)))[0]
            residuals = np.log(values / (matrix @ self._rates))
            for name in self._factors:
                rest = [
                    residual - self._factor(names) + self._factors[name]
                    for residual, names in zip(residuals, groups, strict=True)
                    if name in names
                ]
                self._factors[name] = sum(rest) / (len(rest) + SHRINKAGE)
        self._residuals = np.log(values / (matrix @ self._rates)) - [self._factor(names) for names in groups]

    def __call__(self, shape: Shape, costs: Costs) -> float:
        distances = np.array(
            [_distance(shape, costs, row.shape, other) for row, other in zip(self._rows, self._costs, strict=True)]
        )
        weights = np.maximum(distances, NEAREST) ** -4.0
        correction = self._factor(_groups(shape)) + weights @ self._residuals / weights.sum()
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
    """The family of a backbone, such as shufflenet_v1 for ``shufflenet_v1_1x_g3``."""
    return backbone.rsplit("x", 1)[0].rsplit("_", 1)[0]


def _latency_terms(costs: Costs) -> NDArray[np.float64]:
    return costs.terms


def _size_terms(costs: Costs) -> NDArray[np.float64]:
    """Terms of the file size: parameters, layers, and a constant."""
    return np.array([costs.parameters / 1e6, costs.terms[TERMS.index("layers")], 1.0])
