"""What ``paddle-vfl train``, ``eval`` and ``infer`` do: PaddleDetection's tools/train.py, tools/eval.py and
tools/infer.py in short, for those who have only the pip package, with the plugin enabled; and ``convert-vfnet``."""

from .convert import convert_vfnet
from .evaluate import evaluate
from .infer import detect, infer
from .train import train

__all__ = ["convert_vfnet", "detect", "evaluate", "infer", "train"]
