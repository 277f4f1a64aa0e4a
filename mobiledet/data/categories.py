"""Matching a model's classes to a data set's by name. Imports no torch."""

from collections.abc import Sequence

from mobiledet.data.dataset import DetectionSet
from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec


def match_labels(spec: ModelSpec, dataset: DetectionSet) -> tuple[int | None, ...]:
    """For each class of the model, the label of the class with the same name in the data set; None if it has none.

    Raises:
        UserError: the data set has a class that the model does not have, so that mAP would not be comparable.
    """
    return match_names(spec.labels, spec.name, dataset)


def match_names(labels: Sequence[str], name: str, dataset: DetectionSet) -> tuple[int | None, ...]:
    """The same for a list of class names; ``name`` is what error messages call their model."""
    unknown = [label for label in dataset.labels if label not in labels]
    if unknown:
        known = ", ".join(labels[:8]) + (", ..." if len(labels) > 8 else "")
        raise UserError(
            f"{dataset.annotations} has the category {unknown[0]!r}, which {name} does not have (it has {known}); "
            "evaluate it on data with the categories it was trained for"
        )
    place = {label: index for index, label in enumerate(dataset.labels)}
    return tuple(place.get(label) for label in labels)
