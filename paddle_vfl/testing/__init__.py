"""What tests, fuzzer, benchmarks and tools share: the formula in float64 (``oracle``), random calls of the operator
(``random_calls``), numbers as each dtype holds them (``dtypes``) and the CUDA kernels without Paddle (``cuda``).

Only ``random_calls`` imports Paddle: the rest works on a machine that has a GPU and PyTorch alone.
"""
