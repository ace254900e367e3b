"""``paddle-vfl bench``: the fused loss against its peers on a CPU or a GPU, measured in one run."""

from .run import run_benchmark

__all__ = ["run_benchmark"]
