"""A model's classes and a data set's. No torch."""

from mobiledet.data.dataset import DetectionSet
from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec


def match_labels(spec: ModelSpec, dataset: DetectionSet) -> tuple[int | None, ...]:
    """The data set's label that each of the model's is, by name; None for one that it does not have.

    Raises:
        UserError: the data set has a class that the model does not know: its mAP would be of something else.
    """
    unknown = [name for name in dataset.labels if name not in spec.labels]
    if unknown:
        known = ", ".join(spec.labels[:8]) + (", ..." if len(spec.labels) > 8 else "")
        raise UserError(
            f"{dataset.annotations} has the category {unknown[0]!r}, which {spec.name} does not know (it knows "
            f"{known}); "
            "evaluate it on data with the categories it was trained for"
        )
    place = {name: index for index, name in enumerate(dataset.labels)}
    return tuple(place.get(label) for label in spec.labels)
