"""The command line: ``paddle-vfl``, also ``python -m paddle_vfl``."""

import argparse
import os
import select
import sys

from ._version import __version__
from .errors import UserError, printable
from .interrupts import interrupt_deferred

__all__ = ["main"]


EXAMPLES = """\
examples:
  paddle-vfl digits dataset/digits                          a small data set to try it with
  paddle-vfl train -c configs/ppyoloe_plus_digits.yml --eval
  paddle-vfl eval -c configs/ppyoloe_plus_digits.yml -o weights=output/ppyoloe_plus_digits/best_model
  paddle-vfl infer -c configs/ppyoloe_plus_digits.yml --infer_dir dataset/digits/val -o weights=...
  paddle-vfl COMMAND --help                                 all about one of them
"""
OPTIONS = """\
-o overrides settings of the config, with the dots of its nesting; values are YAML. Several may follow:
  -o epoch=30 LearningRate.base_lr=1e-3 TrainReader.batch_size=4
  -o TrainDataset.dataset_dir=my_data TrainDataset.anno_path=annotations/train.json num_classes=3
  -o PPYOLOEHead.loss.alpha=0.5 PPYOLOEHead.nms.nms_threshold=0.5     options of the module that is there
  -o "TrainReader.sample_transforms=[{Decode: {}}]"                   a list can only be replaced whole
"""


# the names under which pip knows modules
PACKAGES = {
    "PIL": "pillow",
    "cv2": "opencv-python",
    "paddle": "paddlepaddle",
    "ppdet": "paddledet==2.6.0",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def main(argv=None):
    """Run one command; returns the exit status: 0, 1 if a part was left out, 2 for what the user has to fix, 130 after
    Ctrl-C, 141 where the reader of its output has gone."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return 0
    try:
        status = args.run(args) or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        if not _reader_has_gone():  # another pipe's affair
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the interpreter's last flush
        return 141
    except UserError as error:
        message = str(error)
    except ImportError as error:
        # what the script under `run` imports is its own affair
        message = str(error) if error.name == "paddle_vfl._C" else _missing(error) if args.command != "run" else None
        if message is None:
            raise
    except KeyboardInterrupt:
        print(f"paddle-vfl {args.command}: interrupted", file=sys.stderr)
        return 130
    print(f"paddle-vfl {args.command}: {message}", file=sys.stderr)
    return 2


def _missing(error):
    """What to install where a module is not found, or None."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    module = error.name.partition(".")[0]
    return f"{module} is not installed: pip install {PACKAGES.get(module, module)}"


def _reader_has_gone():
    """Whether nobody reads the standard output any more: `| head` has read enough."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _parser():
    # argparse, because Click and Typer have no option of variable length, as -o is here and in PaddleDetection
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="paddle-vfl",
        description="Varifocal loss for PaddleDetection as one fused operator.",
        epilog=EXAMPLES,
        formatter_class=as_written,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    add = commands.add_parser("info", help="print versions, instruction set, threads and switched call sites")
    add.set_defaults(run=_info)

    add = commands.add_parser("digits", help="write a COCO-format data set of scanned digits")
    add.add_argument("directory", metavar="DIR", help="folder to write; refused if it holds anything else")
    add.add_argument("--train-images", type=int, default=512, metavar="N", help="default: %(default)s")
    add.add_argument("--val-images", type=int, default=128, metavar="N", help="default: %(default)s")
    add.add_argument(
        "--image-size", type=int, default=128, metavar="PIXELS", help="height and width; default: %(default)s"
    )
    add.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    add.set_defaults(run=_digits)

    add = commands.add_parser(
        "train", help="train a PaddleDetection config", epilog=OPTIONS, formatter_class=as_written
    )
    _add_config(add)
    add.add_argument("--eval", action="store_true", help="evaluate at every checkpoint and keep the best")
    add.add_argument("--amp", action="store_true", help="mixed precision")
    add.add_argument("-r", "--resume", metavar="CHECKPOINT", help="go on from this checkpoint")
    add.add_argument("--fleet", action="store_true", help="use fleet")
    add.add_argument("--to_static", action="store_true", help="train as a static graph")
    add.add_argument("--seed", type=int, help="seed of Paddle, NumPy and Python")
    add.add_argument("--allow_nan", action="store_true", help="go on where a loss or a weight is NaN or infinite")
    add.set_defaults(run=_train)

    add = commands.add_parser(
        "eval", help="evaluate the weights of a config", epilog=OPTIONS, formatter_class=as_written
    )
    _add_config(add)
    add.add_argument("--classwise", action="store_true", help="print the AP of every class")
    add.set_defaults(run=_eval)

    add = commands.add_parser(
        "infer", help="draw the boxes found in images", epilog=OPTIONS, formatter_class=as_written
    )
    _add_config(add)
    add.add_argument("--infer_img", metavar="IMAGE")
    add.add_argument("--infer_dir", metavar="DIR")
    add.add_argument("--output_dir", metavar="DIR", default="output", help="default: %(default)s")
    add.add_argument("--draw_threshold", type=float, default=0.5, metavar="SCORE", help="default: %(default)s")
    add.add_argument("--save_results", action="store_true", help="also write the boxes as JSON")
    add.set_defaults(run=_infer)

    add = commands.add_parser(
        "convert-vfnet", help="convert a checkpoint of mmdetection's VFNet (ResNet, without deformable convolutions)"
    )
    add.add_argument("source", metavar="MMDET.pth", help="read with PyTorch, without executing what it holds")
    add.add_argument("target", metavar="OUT.pdparams")
    add.add_argument(
        "-c", "--config", metavar="CONFIG", help="of the model; default: the paper's, ResNet of the checkpoint's depth"
    )
    add.set_defaults(run=_convert_vfnet)

    add = commands.add_parser(
        "run", help="run a training script, unmodified, with the fused loss, in the processes that it starts too"
    )
    add.add_argument("-m", dest="module", action="store_true", help="SCRIPT names a module, as after python -m")
    add.add_argument(
        "script",
        nargs=argparse.PARSER,  # all that follows, a `--` too
        metavar="SCRIPT",
        help="a Python file, PaddleDetection's tools/train.py for one, and its own arguments",
    )
    add.set_defaults(run=_run)

    add = commands.add_parser("class-weights", help="print weights for the classes of a COCO-format data set")
    add.add_argument("annotations", metavar="ANNOTATIONS", help="a COCO annotation file, of the training set")
    add.add_argument(
        "--power",
        type=float,
        default=0.5,
        help="of the inverse frequency: 0 weighs all alike, 1 gives every class the same sum; default: %(default)s",
    )
    add.set_defaults(run=_class_weights)

    add = commands.add_parser("bench", help="time the fused loss against PaddleDetection's, PyTorch's and a plain copy")
    add.add_argument(
        "--device", choices=["cpu", "gpu"], default="cpu", help="gpu needs PyTorch, nvcc and a checkout; default: cpu"
    )
    add.add_argument("--threads", type=int, nargs="+", metavar="N", help="of the CPU; default: 1 2")
    add.add_argument("--rounds", type=int, default=8, metavar="N", help="turns of every peer; default: %(default)s")
    add.add_argument("--match", default="", metavar="TEXT", help="only the cases whose name contains it")
    add.add_argument("--json", metavar="FILE", help="also write the results and the machine's description")
    add.add_argument("--plots", metavar="DIR", help="also draw time, memory and share of the limit against size")
    add.set_defaults(run=_bench)
    return parser


def _add_config(parser):
    parser.add_argument("-c", "--config", required=True, metavar="CONFIG", help="a PaddleDetection YAML config")
    parser.add_argument(
        "-o",
        "--opt",
        nargs="*",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="override settings of the config, see below",
    )


def _info(args):
    from . import build_info, enable, get_num_threads, status

    try:
        facts = {**build_info(), "num_threads": get_num_threads()}
    except ValueError as error:  # the variable names no instruction set
        raise UserError(f"PADDLE_VFL_ISA: {error}") from error
    for key, value in facts.items():
        print(f"{key:<16}{', '.join(value) if isinstance(value, list) else 'none' if value is None else value}")
    try:
        enable()
    except ImportError as error:
        print(f"{'PaddleDetection':<16}{error}")
        return
    import ppdet

    print(f"{'PaddleDetection':<16}{getattr(ppdet, '__version__', 'unknown')}\n\n{status()}")


def _digits(args):
    from .datasets import write_digits

    try:
        folder = write_digits(args.directory, args.train_images, args.val_images, args.image_size, args.seed)
    except (OSError, ValueError) as error:
        raise UserError(error) from error
    print(folder)


def _class_weights(args):
    from .class_weights import class_weight_block

    if not 0 <= args.power < float("inf"):
        raise UserError(f"--power is {args.power}, expected a finite number, at least 0")
    print(class_weight_block(args.annotations, args.power))


def _training():
    with interrupt_deferred():
        from . import training
    return training


def _train(args):
    _training().train(
        args.config,
        args.opt,
        evaluate=args.eval,
        amp=args.amp,
        resume=args.resume,
        fleet=args.fleet,
        to_static=args.to_static,
        seed=args.seed,
        allow_nan=args.allow_nan,
    )


def _eval(args):
    _training().evaluate(args.config, args.opt, classwise=args.classwise)


def _infer(args):
    drawn = _training().infer(
        args.config, args.opt, args.infer_img, args.infer_dir, args.output_dir, args.draw_threshold, args.save_results
    )
    for path in filter(None, drawn.values()):
        print(printable(str(path)))
    return int(None in drawn.values())


def _convert_vfnet(args):
    count = _training().convert_vfnet(args.source, args.target, args.config)
    print(f"{args.target}: {count} tensors")


def _run(args):
    import runpy

    from .ppdet_plugin import enable_in_child_processes, enable_on_import

    script, *_ = args.script
    if not args.module and not os.path.isfile(script):
        raise UserError(f"script {script} does not exist")
    enable_on_import()
    # as `python SCRIPT` and `python -m MODULE` have them
    sys.argv = args.script
    if not getattr(sys.flags, "safe_path", False):  # else what stands there is another's
        sys.path[0] = os.getcwd() if args.module else os.path.dirname(os.path.realpath(script))
    with enable_in_child_processes() as switched:
        try:
            if args.module:
                runpy.run_module(script, run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(script, run_name="__main__")
        finally:
            if not switched():
                print(
                    f"paddle-vfl run: neither {script} nor a process that it started imported PaddleDetection's "
                    "models: nothing was switched",
                    file=sys.stderr,
                )


def _bench(args):
    import json

    from .bench import run_benchmark
    from .bench.cases import cases_of
    from .bench.report import plot, table

    cases = cases_of(args.device, args.match)
    if not cases:
        names = "; ".join(case.name for case in cases_of(args.device))
        raise UserError(f"no case has {args.match!r} in its name; there are: {names}")
    if args.threads and args.device == "gpu":
        raise UserError("--threads is of the CPU, not of --device gpu")
    threads = args.threads or [1, 2]
    if min(threads) < 1 or args.rounds < 1:
        raise UserError("--threads and --rounds: expected at least 1")
    try:  # before what may take an hour
        if args.json:
            open(args.json, "a").close()
        if args.plots:
            os.makedirs(args.plots, exist_ok=True)
    except OSError as error:
        raise UserError(error) from error
    report = run_benchmark(args.device, cases, threads, args.rounds)
    print(
        "\n".join(f"{key:<16}{value}" for key, value in report["machine"].items()), table(report["results"]), sep="\n\n"
    )
    try:
        if args.json:
            with open(args.json, "w") as file:
                json.dump(report, file, indent=1)
        if args.plots:
            print("\n" + "\n".join(str(path) for path in plot(report["results"], args.plots)))
    except OSError as error:
        raise UserError(error) from error
