"""The emulated cores. XNNPACK chooses its kernels by the instructions of a processor, so they differ by generation."""

from dataclasses import dataclass

from mobiledet.errors import unknown_name


@dataclass(frozen=True)
class Core:
    """A kind of processor.

    Attributes:
        name: name in ``--device arm:NAME``.
        cpu: option for QEMU.
        stands_for: description.
    """

    name: str
    cpu: str
    stands_for: str

    @property
    def address(self) -> str:
        """The address for ``--device``."""
        return f"arm:{self.name}"


CORES = {
    core.name: core
    for core in (
        Core("cortex-a53", "cortex-a53", "no dot product, no half floats: low-cost and older phones"),
        Core("cortex-a76", "cortex-a76", "dot product and half floats: most phones since 2019"),
        # scalable vectors and pointer authentication are slow in QEMU, and XNNPACK's kernels for i8mm do not need them
        Core("max", "max,sve=off,sme=off,pauth=off", "8-bit matrix products (i8mm), too: phones since 2022"),
    )
}
DEFAULT = "cortex-a76"


def core_at(address: str) -> Core:
    """The core of ``arm`` or ``arm:NAME``.

    Raises:
        UserError: the core is unknown.
    """
    name = address.partition(":")[2] or DEFAULT
    if name not in CORES:
        raise unknown_name("core", name, CORES)
    return CORES[name]
