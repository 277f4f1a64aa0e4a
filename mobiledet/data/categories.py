"""A model's classes and a data set's. No torch."""

from collections.abc import Sequence

from mobiledet.data.dataset import DetectionSet
from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec


def match_labels(spec: ModelSpec, dataset: DetectionSet) -> tuple[int | None, ...]:
    """The data set's label that each of the model's is, by name; None for one that it does not have.

    Raises:
        UserError: the data set has a class that the model does not know: its mAP would be of something else.
    """
    return match_names(spec.labels, spec.name, dataset)


def match_names(labels: Sequence[str], name: str, dataset: DetectionSet) -> tuple[int | None, ...]:
    """The same for the class names of what is called ``name``."""
    unknown = [label for label in dataset.labels if label not in labels]
    if unknown:
        known = ", ".join(labels[:8]) + (", ..." if len(labels) > 8 else "")
        raise UserError(
            f"{dataset.annotations} has the category {unknown[0]!r}, which {name} does not know (it knows {known}); "
            "evaluate it on data with the categories it was trained for"
        )
    place = {label: index for index, label in enumerate(dataset.labels)}
    return tuple(place.get(label) for label in labels)
