"""What is trained: a detector of configs/ with a loss, said by options of `paddle-vfl train`."""

import importlib.util
from pathlib import Path
from typing import NamedTuple, Optional

from paddle_vfl.class_weights import count_boxes, inverse_frequency

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FAMILY = {"vfl": "VarifocalLoss", "qfl": "QualityFocalLoss", "mal": "MatchabilityAwareLoss"}
# focal loss with its alpha of 0.25: labels of 0 and 1, positives weighed by (1 - p)^2, negatives by 3 p^2, both by 0.25
FOCAL = {"target_power": 0, "positive_weight": "modulated", "alpha": 3, "gamma": 2, "loss_weight": 0.25}


class Detector(NamedTuple):
    """``source`` is the file of PaddleDetection without which there is no such detector, ``key`` where the config says
    the loss, ``own`` the loss that the head has without it, ``own_value`` what the key then is, ``focal`` the options
    of a focal loss of PaddleDetection's that the head has besides, ``always`` options that every run has."""

    config: str
    source: str
    key: str
    own: str
    own_value: str = "null"
    focal: Optional[tuple] = None
    always: tuple = ()

    def options(self, loss):
        """The options that give it a loss: "own", "focal", one of FAMILY, a mapping of VarifocalLoss' options, or the
        options themselves, as a tuple."""
        if isinstance(loss, tuple):
            return list(loss)
        if loss in ("own", self.own):
            return [f"{self.key}={self.own_value}"]
        if loss == "focal" and self.focal:
            return list(self.focal)
        loss = FOCAL if loss == "focal" else loss
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
    "vfnet": Detector(
        "vfnet_digits.yml",
        "architectures/gfl.py",
        "VFNetHead.loss",
        "vfl",
        "VarifocalLoss",
        always=("VFNetHead.bbox_norm_type=reg_denom",),  # as published; the config has had another since
    ),
    "yolov8": Detector("yolov8_digits.yml", "heads/yolov8_head.py", "YOLOv8Head.loss", "BCE"),
    "rtdetr": Detector(
        "rtdetr_digits.yml",
        "transformers/rtdetr_transformer.py",
        "DINOHead.loss.loss",
        "vfl",
        "VarifocalLoss",
        always=("eval_size=null",),  # else images of that size alone can be evaluated
    ),
}
# the detectors of a study, where it is not all that are there
STUDIES = {
    "losses": None,
    "ranking": None,
    "alpha-gamma": ["ppyoloe"],
    "detach": ["ppyoloe"],
    "class-weights": ["ppyoloe"],
    "vfnet-parts": ["vfnet"],
}


def variants(study, losses, annotations):
    """{name: loss, as Detector.options takes it} of a study; ``annotations`` are those of the training set."""
    if study == "losses":
        return {loss: loss for loss in losses}
    if study == "ranking":
        return {"own": "own", "focal": "focal", "vfl": "vfl"}
    if study == "detach":
        return {"vfl": "vfl", "vfl_detached": {"detach_weight": "true"}}
    if study == "vfnet-parts":
        plain = ("VFNetHead.star=false", "VFNetHead.refine=false")
        return {
            "plain_focal": (*plain, *DETECTORS["vfnet"].options("focal")),
            "plain_vfl": plain,
            "star_vfl": ("VFNetHead.refine=false",),
            "star_refined_vfl": "own",
        }
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
    """The Cells of detectors with losses, {name: loss}."""
    found = {}
    for name in detectors:
        detector = DETECTORS[name]
        for label, loss in losses.items():
            label = "own" if loss == "own" or label == detector.own else label
            found.setdefault((name, label), Cell(name, label, (*detector.always, *detector.options(loss))))
    return list(found.values())
