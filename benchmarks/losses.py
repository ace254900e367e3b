"""Does the loss matter? Trains detectors with several losses and seeds, and reports AP with its spread.

    paddle-vfl digits dataset/digits
    python benchmarks/losses.py --detectors fcos gfl ppyoloe --jobs 2
    python benchmarks/losses.py --data my_data --size 256 --flip --study class-weights

The data set is in COCO format: train/, val/, annotations/train.json and annotations/val.json. Detectors are those of
configs/*_digits.yml. Every run is a process of its own, on one thread, in OUTPUT/DETECTOR-LOSS-SEED; what is finished
is kept when the command is given again. OUTPUT/STUDY.json has the results, STUDY.csv a row for each detector and loss,
STUDY.png a dot for every run.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

from loss_study.cells import DETECTORS, FAMILY, STUDIES, cells, variants
from paddle_vfl.errors import UserError

LOSSES = ("own", "focal", *FAMILY)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default="dataset/digits", help="default: %(default)s")
    parser.add_argument("--output", type=Path, help="default: output/losses/DATA-SIZE-EPOCHS, with -flip")
    parser.add_argument("--detectors", nargs="+", choices=DETECTORS, metavar="NAME", help=f"of {', '.join(DETECTORS)}")
    parser.add_argument(
        "--losses", nargs="+", choices=LOSSES, default=LOSSES, help="of the study `losses`; default: all"
    )
    parser.add_argument("--study", choices=STUDIES, default="losses", help="default: %(default)s")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N", help="default: 0 1 2")
    parser.add_argument("--epochs", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--size", type=int, default=128, help="side of the images in pixels; default: %(default)s")
    parser.add_argument("--flip", action="store_true", help="flip training images at random, as photographs are")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; default: %(default)s")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--report", action="store_true", help="report what is finished, train nothing")
    what.add_argument("--commands", action="store_true", help="print what would be run, a command a line")
    args = parser.parse_args()
    try:
        study(args)
    except UserError as error:
        sys.exit(f"losses: {error}")


def study(args):
    """Train and report, as the command line asks for."""
    from loss_study.report import collect, save, summary
    from loss_study.runs import Run, Setting, train_all

    data = args.data.resolve()
    name = f"{data.name}-{args.size}-{args.epochs}{'-flip' if args.flip else ''}"
    output = (args.output or Path("output", "losses", name)).resolve()
    setting = Setting(data, _classes(data), args.epochs, args.size, args.flip)
    there = [name for name, detector in DETECTORS.items() if detector.is_there()]
    detectors = args.detectors or STUDIES[args.study] or there
    losses = variants(args.study, args.losses, data / "annotations" / "train.json")
    chosen = cells(detectors, losses)
    # seed by seed, so that a study that is cut off has all rows
    runs = [Run(cell, seed, setting, output) for seed in args.seeds for cell in chosen]
    if args.commands:
        print("\n".join(shlex.join(["paddle-vfl", *run.command()]) for run in runs))
        return
    missing = set(detectors) - set(there)
    if missing and not args.report:
        raise UserError(
            f"this PaddleDetection has no {' and no '.join(sorted(missing))}: put a checkout that has on PYTHONPATH"
        )
    failed = [] if args.report else train_all(runs, args.jobs)
    results = collect(runs, setting)
    output.mkdir(parents=True, exist_ok=True)
    save(results, output / args.study)
    print(f"\n{name}: mean AP (min - max), and in how many seeds it is better than the own loss\n\n{summary(results)}")
    if results["missing"]:
        print(f"\nnot finished: {', '.join(results['missing'])}")
    if failed:
        sys.exit(1)


def _classes(data):
    annotations = data / "annotations" / "train.json"
    try:
        return len(json.loads(annotations.read_text())["categories"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{annotations}: expected COCO annotations ({type(error).__name__}: {error})") from error


if __name__ == "__main__":
    main()
