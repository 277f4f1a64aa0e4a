"""Which parts of a data set are looked at, or written in another format. Loads no torch."""

from mobiledet.data.config import DataOptions
from mobiledet.data.read import Source, choose_part
from mobiledet.errors import UserError


def parts_to_show(source: Source, options: DataOptions) -> tuple[list[str], bool]:
    """The training part, the validation part and a test part as far as they are there; and whether the second is."""
    roles: list[str] = []
    has_validation = True
    if options.val_share:
        return ["train", "val"], True
    for role in ("train", "val"):
        try:
            part = choose_part(source, role, options)
        except UserError:
            if getattr(options, f"{role}_set"):
                raise
            has_validation = has_validation and role != "val"
            continue
        if part not in roles:
            roles.append(part)
        elif role == "val":
            has_validation = False
    if "test" in source.parts and "test" not in roles:
        roles.append("test")
    return roles or list(source.parts), has_validation
