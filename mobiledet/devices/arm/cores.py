"""The cores that are emulated. XNNPACK takes its kernels by what a processor can do, so each generation has others."""

from dataclasses import dataclass

from mobiledet.errors import unknown_name


@dataclass(frozen=True)
class Core:
    """A kind of processor.

    Attributes:
        name: as in ``--device arm:NAME``.
        cpu: as QEMU takes it.
        stands_for: in words.
    """

    name: str
    cpu: str
    stands_for: str

    @property
    def address(self) -> str:
        """For ``--device``."""
        return f"arm:{self.name}"


CORES = {
    core.name: core
    for core in (
        Core("cortex-a53", "cortex-a53", "no dot product, no half floats: low-cost and older phones"),
        Core("cortex-a76", "cortex-a76", "dot product and half floats: most phones since 2019"),
        # vectors of any length and pointer signatures take QEMU long, and XNNPACK's choice for i8mm does not need them
        Core("max", "max,sve=off,sme=off,pauth=off", "8-bit matrix products (i8mm) besides: phones since 2022"),
    )
}
DEFAULT = "cortex-a76"


def core_at(address: str) -> Core:
    """The core of ``arm`` or ``arm:NAME``.

    Raises:
        UserError: there is no such core.
    """
    name = address.partition(":")[2] or DEFAULT
    if name not in CORES:
        raise unknown_name("core", name, CORES)
    return CORES[name]
