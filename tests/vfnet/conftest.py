"""Everything here needs PaddleDetection, with VFNet registered."""

import pytest

import paddle_vfl


@pytest.fixture(autouse=True)
def _enabled(clean_ppdet):
    paddle_vfl.enable()
