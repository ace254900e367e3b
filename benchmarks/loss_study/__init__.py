"""What benchmarks/losses.py is made of."""
