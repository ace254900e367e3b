"""The whole path on real input: data set, training with `loss: VarifocalLoss`, COCO evaluation, pictures.

Run it with `make demo`, or with `python examples/digits_demo.py` where the plugin and PaddleDetection are installed.
"""

import os
import sys
from pathlib import Path

from train_on_your_data import train_and_report

from paddle_vfl.datasets import write_digits
from paddle_vfl.errors import UserError

CONFIG = "configs/ppyoloe_plus_digits.yml"
DATA = Path("dataset/digits")

if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[1])
    try:
        write_digits(DATA)
        train_and_report(CONFIG, DATA, Path("output/demo"))
    except (UserError, OSError, ValueError) as error:
        sys.exit(f"demo: {error}")
