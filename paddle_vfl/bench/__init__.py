"""``paddle-vfl bench``: the fused loss against its peers, measured in one run."""

from .run import run_benchmark

__all__ = ["run_benchmark"]
