"""What is trained: a detector of configs/ with a loss, said by options of `paddle-vfl train`."""

import importlib.util
from pathlib import Path
from typing import NamedTuple, Optional

from paddle_vfl.class_weights import count_boxes, inverse_frequency

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FAMILY = {"vfl": "VarifocalLoss", "qfl": "QualityFocalLoss", "mal": "MatchabilityAwareLoss"}


class Detector(NamedTuple):
    """``source`` is the file of PaddleDetection without which there is no such detector, ``key`` where the config says
    the loss, ``own`` the loss that the head has without it, ``own_value`` what the key then is, ``focal`` the options
    of a focal loss that the head has besides."""

    config: str
    source: str
    key: str
    own: str
    own_value: str = "null"
    focal: Optional[tuple] = None

    def options(self, loss):
        """The options that give it a loss: "own", "focal", one of FAMILY, or a mapping of VarifocalLoss' options. None
        if it cannot have that loss."""
        if loss in ("own", self.own):
            return [f"{self.key}={self.own_value}"]
        if loss == "focal":
            return self.focal and list(self.focal)
        if isinstance(loss, dict):
            options = ", ".join(f"{name}: {value}" for name, value in {"name": "VarifocalLoss", **loss}.items())
            return [f"{self.key}={{{options}}}"]
        return [f"{self.key}={FAMILY[loss]}"]

    def is_there(self):
        """Whether this PaddleDetection has it."""
        origin = importlib.util.find_spec("ppdet").origin
        return (Path(origin).parent / "modeling" / self.source).exists()


DETECTORS = {
    "retinanet": Detector("retinanet_digits.yml", "heads/retina_head.py", "RetinaHead.loss", "focal"),
    "fcos": Detector("fcos_digits.yml", "heads/fcos_head.py", "FCOSHead.loss", "focal"),
    "gfl": Detector("gfl_digits.yml", "heads/gfl_head.py", "GFLHead.loss_class", "qfl", "QualityFocalLoss"),
    "tood": Detector("tood_digits.yml", "heads/tood_head.py", "TOODHead.loss", "soft focal"),
    "ppyoloe": Detector(
        "ppyoloe_plus_digits.yml",
        "heads/ppyoloe_head.py",
        "PPYOLOEHead.loss",
        "vfl",
        "VarifocalLoss",
        focal=("PPYOLOEHead.loss=null", "PPYOLOEHead.use_varifocal_loss=false"),
    ),
    "vfnet": Detector("vfnet_digits.yml", "architectures/gfl.py", "VFNetHead.loss", "vfl", "VarifocalLoss"),
    "yolov8": Detector("yolov8_digits.yml", "heads/yolov8_head.py", "YOLOv8Head.loss", "BCE"),
    "rtdetr": Detector(
        "rtdetr_digits.yml", "transformers/rtdetr_transformer.py", "DINOHead.loss.loss", "vfl", "VarifocalLoss"
    ),
}
STUDIES = ("losses", "alpha-gamma", "detach", "class-weights", "ranking")


def variants(study, losses, annotations):
    """{name: loss, as Detector.options takes it} of a study; ``annotations`` are those of the training set."""
    if study == "losses":
        return {loss: loss for loss in losses}
    if study == "ranking":
        return {"own": "own", "focal": "focal", "vfl": "vfl"}
    if study == "detach":
        return {"vfl": "vfl", "vfl_detached": {"detach_weight": "true"}}
    if study == "alpha-gamma":
        pairs = [(alpha, gamma) for gamma in (1.0, 2.0, 3.0) for alpha in (0.5, 0.75, 1.0)]
        named = {f"vfl_alpha{alpha}_gamma{gamma}": {"alpha": alpha, "gamma": gamma} for alpha, gamma in pairs}
        return {"vfl" if options == {"alpha": 0.75, "gamma": 2.0} else name: options for name, options in named.items()}
    counts = [count for _, count in count_boxes(annotations)]
    weights = {power: [round(weight, 4) for weight in inverse_frequency(counts, power)] for power in (0.5, 1.0)}
    return {"vfl": "vfl", **{f"vfl_weights{power}": {"class_weight": list_} for power, list_ in weights.items()}}


class Cell(NamedTuple):
    """``loss`` is "own" where it is the head's own: what is one and the same is trained once."""

    detector: str
    loss: str
    options: tuple


def cells(detectors, losses):
    """The Cells of detectors with losses, {name: loss}, without those that a detector cannot have."""
    found = {}
    for name in detectors:
        detector = DETECTORS[name]
        for label, loss in losses.items():
            options = detector.options(loss)
            label = "own" if label == detector.own else label
            if options:
                found.setdefault((name, label), Cell(name, label, tuple(options)))
    return list(found.values())
