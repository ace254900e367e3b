"""Which families of PaddleDetection train, evaluate and export, without and with the plugin.

    python tools/families.py [--checkout FOLDER] [--stages train,evaluate,export] [FAMILY ...]

Each family is a small model of tests/ppdet_plugin/families on 8 images of digits. It takes two steps, the second of
them in a later epoch, evaluates 4 images and is exported, and the exported model has to find what the model finds.
Prints a table as CSV, for the package and for a checkout of PaddleDetection. Ends with status 1 if something that works
without the plugin does not with it, if a family does not train with it, or if its losses are others: bit for bit where
no loss of paddle_vfl is called.
"""

import argparse
import contextlib
import csv
import io
import json
import logging
import os
import random
import re
import subprocess
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "ppdet_plugin" / "families"
STAGES = ("train", "evaluate", "export")
MODES = ("without", "with")
EPOCHS = (0, 5)  # with the static assigner and with the other


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="default: all")
    parser.add_argument("--checkout", metavar="FOLDER", help="a checkout of PaddleDetection to try beside the package")
    parser.add_argument("--stages", type=lambda text: text.split(","), default=STAGES, help="default: all three")
    parser.add_argument("--mode", choices=MODES, help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not set(args.stages) <= set(STAGES):
        parser.error(f"--stages: expected some of {','.join(STAGES)}")
    families = args.families or sorted(path.stem for path in FOLDER.glob("[!_]*.yml"))
    if args.mode:
        return try_families(args.mode, families, args.stages, args.data)
    with tempfile.TemporaryDirectory() as folder:
        from paddle_vfl.datasets import write_digits

        data = write_digits(Path(folder) / "digits", train_images=8, val_images=4, progress=False)
        results = {}
        for checkout in dict.fromkeys([None, args.checkout]):
            with ThreadPoolExecutor() as pool:
                futures = [pool.submit(run, checkout, mode, families, args.stages, data) for mode in MODES]
                results[checkout] = dict(zip(MODES, [future.result() for future in futures]))
    print(table(results, families, args.stages), end="")
    found = [fault for result in results.values() for family in families for fault in faults(family, result)]
    print("\n".join(found), file=sys.stderr)
    return 1 if found else 0


def run(checkout, mode, families, stages, data):
    """{family: what try_family says} of a process of its own, and of another if that one dies."""
    paths = [str(checkout) if checkout else "", os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    results, left = {}, list(families)
    while left:
        command = [sys.executable, "-W", "ignore", __file__, "--mode", mode, "--stages", ",".join(stages)]
        with tempfile.TemporaryFile("w+") as log:
            child = subprocess.Popen(
                [*command, "--data", str(data), *left],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                cwd=data,
            )
            for line in child.stdout:
                if line.startswith('{"family"'):
                    result = json.loads(line)
                    results[result.pop("family")] = result
                    print(f"{checkout or 'package'}, {mode} the plugin: {line}", end="", file=sys.stderr)
            if child.wait():
                log.seek(0)
                sys.stderr.write(log.read()[-2000:])
        left = [family for family in families if family not in results]
        if left and child.returncode:
            results[left.pop(0)] = {stages[0]: f"the process ended with status {child.returncode}"}
    return results


def try_families(mode, families, stages, data):
    """Print, for each family, {"family": its name, stage: None or a message, "losses": [...], "calls": of paddle_vfl's
    operator} as a line of JSON."""
    import zlib  # noqa: F401  before paddle, as paddle_vfl has it

    calls = []
    if mode == "with":
        import paddle_vfl
        from paddle_vfl import _ops

        paddle_vfl.enable()
        original = _ops._run
        _ops._run = lambda name, *args: calls.append(name) or original(name, *args)
    import ppdet  # noqa: F401
    from ppdet.core.workspace import global_config

    logging.disable(logging.ERROR)
    registered = {key: value.copy() if hasattr(value, "copy") else value for key, value in global_config.items()}
    for family in families:
        calls.clear()
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):

            def load(family=family, folder=folder):
                global_config.clear()
                values = {key: value.copy() if hasattr(value, "copy") else value for key, value in registered.items()}
                global_config.update(values)
                return load_family(family, Path(folder), data)

            result = try_family(load, stages, folder)
        print(json.dumps({"family": family, **result, "calls": len(calls)}), flush=True)


def load_family(family, folder, data):
    import paddle
    from ppdet.core.workspace import load_config

    path = folder / f"{family}.yml"
    path.write_text(
        f"_BASE_: [{FOLDER / family}.yml]\nsave_dir: {folder}\noutput_eval: {folder}\n"
        + "".join(f"{name}Dataset: {{dataset_dir: {data}}}\n" for name in ("Train", "Eval", "Test"))
        + "TrainReader: {batch_size: 4}\n"
    )
    cfg = load_config(str(path))
    cfg.update(fleet=False, to_static=False, amp=False)
    paddle.set_device("cpu")
    return cfg


def try_family(load, stages, folder):
    result = {}
    state = {}
    for stage in stages:
        try:
            if stage == "train":
                result["losses"], state = train(load())
            elif stage == "evaluate":
                evaluate(load(), state)
            else:
                export(load, state, folder)
            result[stage] = None
        except BaseException as error:
            result[stage] = message(error)
    return result


def train(cfg):
    """(losses of two steps as hexadecimal numbers, the weights then)."""
    import numpy as np
    import paddle
    from ppdet.engine import Trainer

    for seed in (paddle.seed, random.seed, np.random.seed):
        seed(1)
    trainer = Trainer(cfg, mode="train")
    trainer.model.train()
    losses = []
    for epoch in EPOCHS:
        data = next(iter(trainer.loader))
        data["epoch_id"] = epoch
        loss = trainer.model(data)["loss"]
        loss.backward()
        trainer.optimizer.step()
        trainer.optimizer.clear_grad()
        losses.append(float(loss.numpy().sum()))
    if not np.isfinite(losses).all():
        raise ArithmeticError(f"losses {losses}")
    return [loss.hex() for loss in losses], trainer.model.state_dict()


def evaluate(cfg, state):
    from ppdet.engine import Trainer

    trainer = Trainer(cfg, mode="eval")
    trainer.model.set_state_dict(state)
    trainer.evaluate()


def export(load, state, folder):
    import numpy as np
    import paddle.inference
    from ppdet.engine import Trainer

    trainer = Trainer(load(), mode="test")
    trainer.model.set_state_dict(state)
    trainer.export(folder)
    (program,) = [*Path(folder).glob("*/model.json"), *Path(folder).glob("*/model.pdmodel")]
    options = paddle.inference.Config(str(program), str(program.with_suffix(".pdiparams")))
    options.disable_mkldnn()
    exported = paddle.inference.create_predictor(options)

    trainer = Trainer(load(), mode="eval")
    trainer.model.set_state_dict(state)
    trainer.model.eval()
    data = {key: value[:1] for key, value in next(iter(trainer.loader)).items()}
    expected = trainer.model(data)["bbox"].numpy()
    for name in exported.get_input_names():
        exported.get_input_handle(name).copy_from_cpu(data[name].numpy())
    exported.run()
    boxes = exported.get_output_handle(exported.get_output_names()[0]).copy_to_cpu()
    np.testing.assert_allclose(boxes, expected, rtol=1e-3, atol=1e-3)


def message(error):
    """One line: the error's type, what it says, and the line of PaddleDetection that it comes from."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    # an error inside of a static graph holds another with its traceback
    inner = [line for line in lines if re.match(r"\w+(Error|NotMet): ", line)]
    text = inner[-1] if inner else f"{type(error).__name__}: {lines[0]}"
    frames = re.findall(r'File "[^"]*/(ppdet/[^"]*)", line (\d+)', "\n".join(lines)) or [
        (frame.filename[frame.filename.rindex("/ppdet/") + 1 :], frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if "/ppdet/" in frame.filename
    ]
    where = " ({}:{})".format(*frames[-1]) if frames else ""
    return re.sub(r"\(Invalid\w+\) ", "", text).split(". ")[0][:140] + where


def faults(family, result):
    """What the plugin makes worse, in words."""
    without, with_ = result["without"][family], result["with"][family]
    for stage in STAGES:
        if stage in without and without[stage] is None and with_.get(stage) is not None:
            yield f"{family}: {stage} works without the plugin, and with it: {with_[stage]}"
    if with_.get("train") is not None:
        yield f"{family}: does not train with the plugin: {with_['train']}"
    if "losses" in without and "losses" in with_:
        pairs = [
            (float.fromhex(ours), float.fromhex(theirs)) for ours, theirs in zip(with_["losses"], without["losses"])
        ]
        tolerance = 1e-5 if with_["calls"] else 0
        if any(abs(ours - theirs) > tolerance * abs(theirs) for ours, theirs in pairs):
            yield f"{family}: losses {pairs} with and without the plugin"


def table(results, families, stages):
    """CSV: a row for each family, PaddleDetection and mode, with "yes" or a message for each stage."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["family", "PaddleDetection", "plugin", *stages])
    for family in families:
        for checkout, result in results.items():
            name = "package" if checkout is None else Path(checkout).name
            for mode in MODES:
                cells = [result[mode][family].get(stage, "not reached") or "yes" for stage in stages]
                writer.writerow([family, name, mode, *cells])
    return text.getvalue()


if __name__ == "__main__":
    sys.exit(main())
