import pytest

from mobiledet.backbones import build_backbone
from mobiledet.errors import UserError


def test_unknown_backbone_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown backbone 'shufflenet_v2_2'.*shufflenet_v2_2x"):
        build_backbone("shufflenet_v2_2")
