"""Chooses the splits of a data set that are shown, or written in another format. Imports no torch."""

from mobiledet.data.config import DataOptions
from mobiledet.data.read import Source, choose_split
from mobiledet.errors import UserError


def parts_to_show(source: Source, options: DataOptions) -> tuple[list[str], bool]:
    """The names of the training, validation and test splits that exist, and whether there is a validation split."""
    roles: list[str] = []
    has_validation = True
    if options.val_share:
        return ["train", "val"], True
    for role in ("train", "val"):
        try:
            part = choose_split(source, role, options)
        except UserError:
            if getattr(options, f"{role}_set"):
                raise
            has_validation = has_validation and role != "val"
            continue
        if part not in roles:
            roles.append(part)
        elif role == "val":
            has_validation = False
    if "test" in source.splits and "test" not in roles:
        roles.append("test")
    return roles or list(source.splits), has_validation
