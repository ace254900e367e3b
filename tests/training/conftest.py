"""Everything here needs PaddleDetection."""

import pytest


@pytest.fixture(autouse=True)
def _clean(clean_ppdet):
    """All tests here."""
