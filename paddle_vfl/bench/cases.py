"""What is measured: inputs of one call, the same for every peer."""

import dataclasses
from typing import Optional

import numpy as np

__all__ = ["CASES", "Case"]


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of the loss, forward and backward, with a summed result.

    ``form`` is "logits", dense targets; "masked", probabilities with a label mask, the call of PP-YOLOE; or "pair",
    logits with (label, score) targets. ``isa`` is of the fused operator alone, None for the best.
    """

    name: str
    rows: int = 67_200
    classes: int = 80
    form: str = "logits"
    dtype: str = "float32"
    gamma: float = 2.0
    isa: Optional[str] = None
    peers: tuple = ("fused",)

    @property
    def elements(self):
        return self.rows * self.classes

    def arrays(self, seed=0):
        """(pred, target, label): float32 logits or probabilities; dense scores and their mask, or row scores and class
        labels."""
        rng = np.random.default_rng(seed)
        pred = rng.standard_normal((self.rows, self.classes), dtype=np.float32) * 2 - 3
        label = np.where(rng.random(self.rows) < 0.03, rng.integers(0, self.classes, self.rows), self.classes)
        score = np.where(label < self.classes, rng.random(self.rows, dtype=np.float32), 0).astype(np.float32)
        if self.form == "pair":
            return pred, score, label
        mask = np.zeros((self.rows, self.classes), np.float32)
        positive = label < self.classes
        mask[np.flatnonzero(positive), label[positive]] = 1
        if self.form == "masked":
            pred = 1 / (1 + np.exp(-pred))
        return pred, mask * score[:, None], mask


SIZES = (1_250, 12_500, 125_000, 1_250_000, 2_500_000)  # rows of 80 classes: 1e5 to 2e8 elements
ALL = ("fused", "ppdet", "torch", "torch.compile")
CASES = (
    Case("PP-YOLOE batch of 8, logits", peers=(*ALL, "copy")),
    Case("PP-YOLOE's own call, probabilities and mask", form="masked", peers=("fused", "ppdet")),
    Case("(label, score) targets", form="pair"),
    Case("bfloat16", dtype="bfloat16"),
    Case("float16", dtype="float16"),
    Case("float64", dtype="float64"),
    Case("gamma = 1.5", gamma=1.5),
    Case("AVX2", isa="avx2"),
    Case("portable", isa="portable"),
    Case("RT-DETR, 16 x 300 queries", rows=4_800, peers=ALL),
    Case("small head, 8,544 x 10", rows=8_544, classes=10, peers=ALL),
    # the composed losses would need up to 9 GB for the largest of these
    *(
        Case(f"{rows * 80:,} elements", rows=rows, peers=("fused", "copy", *(ALL[1:] if rows <= 125_000 else ())))
        for rows in SIZES
    ),
    Case("V3Det, 16,800 x 13,204, (label, score)", rows=16_800, classes=13_204, form="pair", peers=("fused", "ppdet")),
)
