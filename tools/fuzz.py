"""Random calls of the operator against the formula in float64: ``python tools/fuzz.py --seconds 60``.

Prints the seed, which repeats the run, and stops at the first call that is wrong with a description of it.
"""

import argparse
import sys
import time

import numpy as np
from tqdm import tqdm

from paddle_vfl._ops import extension
from paddle_vfl.testing import random_calls


def random_call(rng):
    """A call and the instruction set and number of threads to make it with.

    gamma is 0 or at least 0.2: below, |p - q|^gamma of subnormal numbers, which the kernels take for normal ones, is
    not yet small.
    """
    shape = tuple(int(n) for n in rng.integers(1, 300, rng.integers(0, 2))) + (
        int(rng.choice([1, 2, 3, 7, 10, 16, 80, 365, 1203, rng.integers(1, 2000)])),
    )
    if random_calls.EMPTY and rng.random() < 0.02:
        shape = (0, *shape)
    pick = lambda values: values[rng.integers(len(values))]
    call = random_calls.Call(
        shape=shape,
        kind=pick(random_calls.KINDS),
        dtype=pick(random_calls.DTYPES),
        target_dtype=pick(random_calls.DTYPES),
        layout=pick(random_calls.LAYOUTS),
        reduction=pick(random_calls.REDUCTIONS[:3] if 0 in shape else random_calls.REDUCTIONS),
        alpha=float(rng.uniform(0, 2)),
        gamma=float(pick([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, rng.uniform(0.2, 5)])),
        positive_weight=pick(random_calls.POSITIVE_WEIGHTS),
        target_power=float(pick([1.0, 1.0, 0.5, 1.5, 2.0, rng.uniform(0.2, 4)])),
        detach_weight=bool(rng.random() < 0.3),
        weighted=bool(rng.random() < 0.4),
        use_sigmoid=bool(rng.random() < 0.5),
        extreme=bool(rng.random() < 0.3),
        seed=int(rng.integers(2**32)),
    )
    return call, pick(extension.isa_supported()), int(rng.integers(1, 5))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="of an earlier run")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else int(np.random.SeedSequence().entropy % 2**32)
    print(f"seed {seed}", flush=True)
    rng = np.random.default_rng(seed)
    calls = elements = 0
    start = time.monotonic()
    with tqdm(total=args.seconds, unit="s", bar_format="{l_bar}{bar}| {n:.0f}/{total:.0f} s", disable=None) as bar:
        while time.monotonic() - start < args.seconds:
            call, isa, threads = random_call(rng)
            extension.set_isa(isa)
            extension.set_num_threads(threads)
            try:
                call.check()
            except Exception as error:  # whatever it is, say which call it was
                sys.exit(f"seed {seed}, call {calls}, {isa}, {threads} threads: {call}\n{error}")
            calls += 1
            elements += int(np.prod(call.shape))
            bar.update(min(time.monotonic() - start, args.seconds) - bar.n)
    print(f"{calls:,} calls, {elements:,} elements, nothing wrong")


if __name__ == "__main__":
    main()
