"""Threads, instruction sets and build facts."""

import os
import subprocess
import sys

import paddle
import pytest

import paddle_vfl
from paddle_vfl._ops import extension


def python(code, **environment):
    """What `python -c code` prints, and its error output."""
    env = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={k: v for k, v in env.items() if v is not None},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout.strip(), done.stderr


def test_threads_can_be_set():
    paddle_vfl.set_num_threads(3)
    assert paddle_vfl.get_num_threads() == 3


@pytest.mark.parametrize(
    "error, message, n",
    [
        (ValueError, "n is 0, expected at least 1", 0),
        (TypeError, "n is 1.5, a float, expected an integer", 1.5),
        (TypeError, "n is True, a bool, expected an integer", True),
    ],
)
def test_bad_thread_counts_are_named(error, message, n):
    with pytest.raises(error, match=message):
        paddle_vfl.set_num_threads(n)


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({"OMP_NUM_THREADS": None, "PADDLE_VFL_NUM_THREADS": None}, "1"),
        ({"OMP_NUM_THREADS": "2", "PADDLE_VFL_NUM_THREADS": None}, "2"),
        ({"OMP_NUM_THREADS": "2", "PADDLE_VFL_NUM_THREADS": "5"}, "5"),
    ],
)
def test_threads_follow_the_environment(environment, expected):
    assert python("import paddle_vfl; print(paddle_vfl.get_num_threads())", **environment)[0] == expected


def test_isa_follows_the_environment():
    assert (
        python("import paddle_vfl; print(paddle_vfl.build_info()['isa'])", PADDLE_VFL_ISA="portable")[0] == "portable"
    )
    _, errors = python("import paddle_vfl; paddle_vfl.build_info()", PADDLE_VFL_ISA="sse9")
    assert "there is no instruction set 'sse9'; expected one of: " in errors


def test_build_info_tells_what_is_in_use():
    info = paddle_vfl.build_info()
    assert info["version"] == paddle_vfl.__version__
    assert info["paddle_built"] == info["paddle_running"] == paddle.__version__
    assert info["isa"] in info["isa_compiled"] and info["isa_compiled"][-1] == "portable"
    extension.set_isa("portable")
    assert paddle_vfl.build_info()["isa"] == "portable"


@pytest.mark.parametrize(
    "cuda, wheel", [("None", "+paddle9.9.9,"), ("'12.6'", "+paddle9.9.9.cu126,")], ids=["CPU", "CUDA"]
)
def test_another_paddle_is_refused_with_the_ways_out(cuda, wheel):
    code = f"""
import zlib
import paddle
paddle.__version__ = "9.9.9"
paddle.is_compiled_with_cuda = lambda: {cuda} is not None
paddle.version.cuda = lambda: {cuda}
import paddle_vfl
paddle_vfl.varifocal_loss
"""
    errors = python(code)[1]
    assert f"ImportError: paddle_vfl was built for Paddle {paddle.__version__}, and this is Paddle 9.9.9. " in errors
    assert (
        f"Install the wheel of paddle_vfl {paddle_vfl.__version__}{wheel} or build it again in a checkout: " in errors
    )


GRADIENT = """
import paddle, paddle_vfl
from paddle_vfl._ops import extension
x = paddle.ones([5000, 80]); x.stop_gradient = False
kept = []
for _ in range(3):
    (grad,) = paddle.grad(paddle_vfl.varifocal_loss(x, paddle.zeros([5000, 80]), reduction="sum"), x)
    kept.append(extension.cached_bytes())
    del grad
print(*kept, extension.cached_bytes())
"""


def test_one_freed_gradient_is_kept_for_the_next_step():
    size = -(-5000 * 80 * 4 // 65536) * 65536  # whole pages of any system
    assert python(GRADIENT)[0].split() == ["0", "0", "0", str(size)]


def test_no_gradient_is_kept_if_the_limit_says_so():
    assert python(GRADIENT, PADDLE_VFL_CACHE_MB="0")[0].split() == ["0"] * 4


def test_import_leaves_ppdet_alone():
    assert python("import sys, paddle_vfl; print('ppdet' in sys.modules)")[0] == "False"


def test_a_forked_child_computes():
    """Its parent's threads do not exist in the child."""
    code = """
import os, paddle, paddle_vfl
paddle_vfl.set_num_threads(2)
x = paddle.ones([4000, 80])
parent = float(paddle_vfl.varifocal_loss(x, x, reduction="sum"))
pid = os.fork()
if pid == 0:
    os._exit(0 if float(paddle_vfl.varifocal_loss(x, x, reduction="sum")) == parent else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert python(code)[0] == "0"
