"""Where the loss is measured."""

from .cpu import Cpu
from .gpu import Gpu

__all__ = ["DEVICES"]

DEVICES = {"cpu": Cpu, "gpu": Gpu}
