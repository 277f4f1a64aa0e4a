import os

import pytest

from mobiledet.devices.arm.setup_folder import ArmSetup, find_setup


@pytest.fixture(scope="session")
def arm_setup() -> ArmSetup:
    """What `mobiledet arm-setup` has made; `make test-arm` asks for it, since an emulator takes minutes."""
    if not os.environ.get("MOBILEDET_TEST_ARM"):
        pytest.skip("emulated ARM processors: make test-arm")
    return find_setup()
