"""The one place where coreai-torch is imported."""

import warnings
from types import ModuleType

from mobiledet.devices.coreai import require_tested
from mobiledet.errors import UserError


def load_coreai_torch() -> ModuleType:
    """Import coreai-torch in the tested version.

    Raises:
        UserError: another version is installed, or it does not load on this machine.
    """
    require_tested("coreai-core", "coreai-torch")
    with warnings.catch_warnings():
        # it was validated with torch 2.13; here every written file is compared with torch
        warnings.filterwarnings("ignore", message=".*only been validated with torch.*")
        try:
            import coreai_torch
            import coreai_torch._compression.custom_layers  # registers the operations that read compressed weights
        except (ImportError, OSError) as error:
            raise UserError(f"coreai-torch does not load here ({' '.join(str(error).split())})") from error
    return coreai_torch
