"""The operator left alone for days: leaks, lack of memory, threads, forks."""

import subprocess
import sys
import threading

import numpy as np
import paddle

from paddle_vfl import set_num_threads, varifocal_loss


def python(code):
    done = subprocess.run(
        [sys.executable, "-c", "import paddle_vfl, paddle\n" + code], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return done.stdout.split()


def test_10_000_calls_leak_nothing():
    """Resident memory after 2,000 and after 12,000 calls, forward and backward, some with gradients of pooled size."""
    before, after = python("""
def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
small, large = paddle.randn([8, 80]), paddle.randn([4000, 80])
label, score = paddle.randint(0, 90, [8]), paddle.rand([8])
small.stop_gradient = large.stop_gradient = False
def calls(n):
    for i in range(n):
        paddle.grad(paddle_vfl.varifocal_loss(small, (label, score), reduction="sum"), small)
        if i % 100 == 0:
            paddle.grad(paddle_vfl.varifocal_loss(large, paddle.zeros_like(large), reduction="mean"), large)
calls(2000)
before = resident()
calls(10000)
print(before, resident())
""")
    assert int(after) - int(before) < 4096  # KiB


def test_a_lack_of_memory_is_an_exception():
    assert python("""
import resource
x = paddle.zeros([40_000, 1000])
x.stop_gradient = False
target = x.detach()
loss = paddle_vfl.varifocal_loss(x, target, reduction="sum")
paddle.grad(loss, x, retain_graph=True)
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + 50_000_000, -1))  # each of the two needs 160 MB
for call in (lambda: paddle_vfl.varifocal_loss(x, target, reduction="sum"), lambda: paddle.grad(loss, x)):
    try:
        call()
        print("no error")
    except Exception as error:
        print("caught")
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
print(paddle.grad(paddle_vfl.varifocal_loss(x, x.detach(), reduction="sum"), x)[0].shape[0])
""") == ["caught", "caught", "40000"]


def test_calls_from_several_threads_at_once():
    """With backward(): paddle.grad crashes in several threads whatever the operators are."""
    set_num_threads(2)
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(3000, 80)).astype("float32") for _ in range(4)]

    def run(x):
        pred = paddle.to_tensor(x, stop_gradient=False)
        loss = varifocal_loss(pred, paddle.zeros_like(pred), reduction="row")
        loss.sum().backward()
        return loss.numpy(), pred.grad.numpy()

    expected = [run(x) for x in inputs]
    wrong = []

    def repeat(i):
        for _ in range(20):
            if any((a != b).any() for a, b in zip(run(inputs[i]), expected[i])):
                wrong.append(i)

    threads = [threading.Thread(target=repeat, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_workers_of_a_data_loader_may_call_the_operator():
    """They are forked after it has used its threads, and use them too."""
    assert python("""
from paddle.io import DataLoader, Dataset
import numpy as np
paddle_vfl.set_num_threads(2)
x = np.ones([4000, 80], "float32")
def loss():
    return float(paddle_vfl.varifocal_loss(paddle.to_tensor(x), paddle.to_tensor(x * 0), reduction="sum"))
class Losses(Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, i):
        return np.float32([loss() if paddle.in_dynamic_mode() else 0])
expected = np.float32(loss())
for _ in range(2):
    for batch in DataLoader(Losses(), batch_size=1, num_workers=2):
        batch = batch[0] if isinstance(batch, (list, tuple)) else batch
        assert float(batch.numpy().ravel()[0]) == expected, batch
    loss()
print("same")
""") == ["same"]
