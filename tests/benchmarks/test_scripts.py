"""The scripts of benchmarks/, briefly."""
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def run(script, *args):
    done = subprocess.run([sys.executable, str(FOLDER / script), *map(str, args)], capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("script", sorted(path.name for path in FOLDER.glob("*.py")))
def test_help(script):
    status, out, err = run(script, "--help")
    assert status == 0 and "usage:" in out, err[-2000:]


def test_accuracy_is_a_few_ulp():
    pytest.importorskip("ppdet")
    status, out, err = run("accuracy.py", "--count", 2001)
    assert status == 0, err[-2000:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines() if re.match(r"\| (logits|probabilities)", line)]
    assert len(rows) > 20
    for _, _, dtype, version, loss, _, grad, _ in rows:
        if version != "PaddleDetection":
            assert float(loss) < 12 and float(grad) < (1 if "float16" in dtype else 12)


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is here")
def test_the_gpu_benchmark_says_what_it_lacks():
    status, _, err = run("gpu.py")
    assert status == 1 and re.search("there is no PyTorch", err) and "Traceback" not in err
