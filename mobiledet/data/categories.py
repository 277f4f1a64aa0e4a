"""A model's classes and a data set's categories. No torch."""

from mobiledet.data.coco import CocoDataset
from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec


def match_categories(spec: ModelSpec, dataset: CocoDataset) -> tuple[int | None, ...]:
    """The data set's category id of each of the model's labels, by name; None for a label that it does not have.

    Raises:
        UserError: the data set has a category that the model does not know: its mAP would be of something else.
    """
    if (spec.labels, spec.category_ids) == (dataset.labels, dataset.category_ids):
        return spec.category_ids
    unknown = [name for name in dataset.labels if name not in spec.labels]
    if unknown or len(set(dataset.labels)) < len(dataset.labels):
        problem = f"has the category {unknown[0]!r}, which" if unknown else "repeats a category's name;"
        known = ", ".join(spec.labels[:8]) + (", ..." if len(spec.labels) > 8 else "")
        raise UserError(
            f"{dataset.annotations} {problem} {spec.name} does not know (it knows {known}); "
            "evaluate it on data with the categories it was trained for"
        )
    id_of = dict(zip(dataset.labels, dataset.category_ids, strict=True))
    return tuple(id_of.get(label) for label in spec.labels)
