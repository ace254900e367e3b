# Types of the public surface. A stub, because PaddleDetection reads the annotations of the classes that it registers as rules for configs.
from typing import Any, Literal, Optional, Tuple, Union

from paddle import Tensor, nn

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
) -> Tensor: ...

class VarifocalLoss(nn.Layer):
    use_sigmoid: bool
    alpha: float
    gamma: float
    iou_weighted: bool
    reduction: Literal["none", "mean", "sum"]
    loss_weight: float
    def __init__(
        self,
        use_sigmoid: bool = True,
        alpha: float = 0.75,
        gamma: float = 2.0,
        iou_weighted: bool = True,
        reduction: Literal["none", "mean", "sum"] = "mean",
        loss_weight: float = 1.0,
    ) -> None: ...
    def forward(
        self,
        pred: Tensor,
        target: Union[Tensor, Tuple[Tensor, Tensor]],
        weight: Optional[Tensor] = None,
        avg_factor: Union[float, Tensor, None] = None,
    ) -> Tensor: ...

def enable() -> str: ...
def disable() -> None: ...
def status() -> dict[str, Any]: ...
def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def build_info() -> dict[str, Any]: ...
