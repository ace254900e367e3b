"""The losses: functions and layers."""

import sys

from .. import _ops
from .layers import FamilyLoss, MatchabilityAwareLoss, QualityFocalLoss, VarifocalLoss
from .varifocal import varifocal_loss

__all__ = ["FamilyLoss", "MatchabilityAwareLoss", "QualityFocalLoss", "VarifocalLoss", "varifocal_loss"]

# paddle.jit.to_static rewrites the Python code that it meets, shapes into tensors included: this code is written for
# static programs
_ops.paddle.jit.ignore_module(
    [sys.modules[name] for name in (_ops.__package__, __name__, f"{__name__}.layers", f"{__name__}.varifocal")]
)
