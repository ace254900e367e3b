# Types of the public surface. A stub, because PaddleDetection reads the annotations of the classes that it registers as rules for configs.
from typing import Any, Literal, Optional, Sequence, Tuple, Union

from paddle import Tensor, nn

from .ppdet_plugin.switch import Status

__version__: str

def varifocal_loss(
    pred: Tensor,
    target: Union[Tensor, Tuple[Tensor, Tensor]],
    label: Optional[Tensor] = None,
    *,
    alpha: float = 0.75,
    gamma: float = 2.0,
    iou_weighted: bool = True,
    use_sigmoid: bool = True,
    reduction: Literal["none", "row", "sum", "mean"] = "none",
    target_power: float = 1.0,
    positive_weight: Literal["score", "one", "modulated"] = "score",
    detach_weight: bool = False,
    class_weight: Union[Sequence[float], Tensor, None] = None,
) -> Tensor: ...

class _FamilyLoss(nn.Layer):
    use_sigmoid: bool
    alpha: float
    gamma: float
    iou_weighted: bool
    target_power: float
    positive_weight: Literal["score", "one", "modulated"]
    detach_weight: bool
    class_weight: Optional[Tuple[float, ...]]
    reduction: Literal["none", "mean", "sum"]
    loss_weight: float
    def forward(
        self,
        pred: Tensor,
        target: Union[Tensor, Tuple[Tensor, Tensor]],
        weight: Optional[Tensor] = None,
        avg_factor: Union[float, Tensor, None] = None,
    ) -> Tensor: ...

class VarifocalLoss(_FamilyLoss):
    def __init__(
        self,
        use_sigmoid: bool = True,
        alpha: float = 0.75,
        gamma: float = 2.0,
        iou_weighted: bool = True,
        reduction: Literal["none", "mean", "sum"] = "mean",
        loss_weight: float = 1.0,
        target_power: float = 1.0,
        positive_weight: Literal["score", "one", "modulated"] = "score",
        detach_weight: bool = False,
        class_weight: Optional[Sequence[float]] = None,
    ) -> None: ...

class QualityFocalLoss(_FamilyLoss):
    beta: float
    def __init__(
        self,
        use_sigmoid: bool = True,
        beta: float = 2.0,
        reduction: Literal["none", "mean", "sum"] = "mean",
        loss_weight: float = 1.0,
        class_weight: Optional[Sequence[float]] = None,
    ) -> None: ...

class MatchabilityAwareLoss(_FamilyLoss):
    def __init__(
        self,
        use_sigmoid: bool = True,
        gamma: float = 1.5,
        alpha: float = 1.0,
        reduction: Literal["none", "mean", "sum"] = "mean",
        loss_weight: float = 1.0,
        class_weight: Optional[Sequence[float]] = None,
    ) -> None: ...

def enable() -> str: ...
def disable() -> None: ...
def status() -> Status: ...
def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def build_info() -> dict[str, Any]: ...
