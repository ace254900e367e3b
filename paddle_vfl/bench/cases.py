"""What is measured: inputs of one call, the same for every peer on every device."""

import dataclasses
from typing import Any, Optional

import numpy as np

from ..testing.dtypes import itemsize

__all__ = ["CASES", "Case", "cases_of"]


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of the loss, forward and backward, with a summed result.

    ``kind`` is that of the targets: "dense", "masked" or "pair"; ``use_sigmoid``: the predictions are logits;
    ``factor``: what the sum is multiplied by, as every head does, on a CPU; ``isa`` is of the fused operator alone,
    None for the best; ``devices``: where it is measured; ``peers``: who takes part on a CPU.
    """

    name: str
    rows: int = 67_200
    classes: int = 80
    kind: str = "dense"
    use_sigmoid: bool = True
    dtype: str = "float32"
    gamma: float = 2.0
    factor: float = 1.0
    isa: Optional[str] = None
    devices: tuple = ("cpu", "gpu")
    peers: tuple = ("fused",)

    @property
    def elements(self):
        return self.rows * self.classes

    def peers_on(self, device):
        """Who takes part; on a GPU, where a step takes little time, all who can."""
        if device == "cpu":
            return self.peers
        composed = ("torch", "torch.compile") if self.kind == "dense" and self.use_sigmoid else ()
        return ("fused", *composed, "copy")

    def bytes_moved(self, direction):
        """Bytes that a "forward" or "backward" pass has to move: both read predictions and targets, backward also
        writes the gradient."""
        arrays = {"dense": 2, "masked": 3, "pair": 1}[self.kind] + (direction == "backward")
        return arrays * self.elements * itemsize(self.dtype)

    def arrays(self, seed=0):
        """(pred, target, label): float32 logits or probabilities; dense scores and, for masked targets, their mask; for
        pairs the scores and class labels of the rows."""
        rng = np.random.default_rng(seed)
        pred = rng.standard_normal((self.rows, self.classes), dtype=np.float32) * 2 - 3
        if not self.use_sigmoid:
            pred = 1 / (1 + np.exp(-pred))
        label = np.where(rng.random(self.rows) < 0.03, rng.integers(0, self.classes, self.rows), self.classes)
        score = np.where(label < self.classes, rng.random(self.rows, dtype=np.float32), 0).astype(np.float32)
        if self.kind == "pair":
            return pred, score, label
        mask = np.zeros((self.rows, self.classes), np.float32)
        positive = label < self.classes
        mask[np.flatnonzero(positive), label[positive]] = 1
        return pred, mask * score[:, None], mask if self.kind == "masked" else None


SIZES = (1_250, 12_500, 125_000, 1_250_000, 2_500_000)  # rows of 80 classes: 1e5 to 2e8 elements
ALL = ("fused", "ppdet", "torch", "torch.compile")
SIZES_ON_GPUS: dict[str, dict[str, Any]] = {
    "bfloat16": dict(dtype="bfloat16"),
    "(label, score)": dict(kind="pair"),
    "bfloat16, (label, score)": dict(dtype="bfloat16", kind="pair"),
}
CASES = (
    Case("PP-YOLOE batch of 8, logits", peers=(*ALL, "copy")),
    Case("PP-YOLOE's own call, probabilities and mask", kind="masked", use_sigmoid=False, peers=("fused", "ppdet")),
    Case("logits, times 0.37", factor=0.37, devices=("cpu",), peers=ALL),
    Case(
        "probabilities and mask, times 0.37", 67_200, 80, "masked", False, factor=0.37, devices=("cpu",), peers=ALL[:2]
    ),
    Case("(label, score) targets", kind="pair"),
    Case("bfloat16", dtype="bfloat16"),
    Case("float16", dtype="float16"),
    Case("float64", dtype="float64"),
    Case("gamma = 1.5", gamma=1.5),
    Case("AVX2", isa="avx2", devices=("cpu",)),
    Case("portable", isa="portable", devices=("cpu",)),
    Case("RT-DETR, 16 x 300 queries", rows=4_800, peers=ALL),
    Case("small head, 8,544 x 10", rows=8_544, classes=10, peers=ALL),
    Case("one call, 8 x 80", rows=8, devices=("cpu",), peers=ALL),
    # the composed losses would need up to 9 GB for the largest of these
    *(
        Case(f"{rows * 80:,} elements", rows=rows, peers=("fused", "copy", *(ALL[1:] if rows <= 125_000 else ())))
        for rows in SIZES
    ),
    *(
        Case(f"{rows * 80:,} elements, {what}", rows=rows, devices=("gpu",), **options)
        for what, options in SIZES_ON_GPUS.items()
        for rows in SIZES
    ),
    Case("V3Det, 16,800 x 13,204, (label, score)", rows=16_800, classes=13_204, kind="pair", peers=("fused", "ppdet")),
)


def cases_of(device, match=""):
    """The cases that are measured on a device and have a text in their names."""
    return [case for case in CASES if device in case.devices and match in case.name]
