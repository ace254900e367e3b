"""`paddle-vfl run` reaches the processes that the script starts, and theirs."""

import os
import subprocess
import sys

import pytest

CHILD = """
import sys
assert "paddle" not in sys.modules and "paddle_vfl" not in sys.modules
import ppdet.modeling
import paddle_vfl
print("enabled in a child:", paddle_vfl.status()["enabled"], flush=True)
"""

SUBPROCESS = """
import subprocess, sys
sys.exit(subprocess.run([sys.executable, "child.py"]).returncode)
"""

SPAWNED = """
import multiprocessing, runpy, sys

def work():
    runpy.run_path("child.py")

if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""

# as PaddleX does it: the script knows the config, a process that it starts trains
GRANDCHILD = SUBPROCESS.replace('"child.py"', '"-c", open("starts.py").read()')


@pytest.fixture
def run(tmp_path):
    """`paddle-vfl run` in a folder with the scripts above: (exit status, stdout, stderr)."""
    scripts = {"child": CHILD, "starts": SUBPROCESS, "spawned": SPAWNED, "grandchild": GRANDCHILD}
    for name, text in scripts.items():
        (tmp_path / f"{name}.py").write_text(text)

    def start(*args, **environment):
        paths = [environment.pop("PYTHONPATH", ""), os.environ.get("PPDET_SRC", ""), os.environ.get("PYTHONPATH", "")]
        done = subprocess.run(
            [sys.executable, "-m", "paddle_vfl", "run", *map(str, args)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment},
        )
        return done.returncode, done.stdout, done.stderr

    return start


@pytest.mark.parametrize("script", ["spawned", "grandchild"])
def test_a_process_that_the_script_starts_is_switched(run, script):
    status, out, err = run(f"{script}.py")
    assert (status, out.splitlines()[-1]) == (0, "enabled in a child: True"), err[-3000:]
    assert "nothing was switched" not in err


@pytest.mark.slow
def test_paddles_launcher_starts_switched_processes(run, tmp_path):
    status, out, err = run("-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", "log", "child.py")
    logs = [path.read_text() for path in (tmp_path / "log").glob("workerlog.*")]
    assert status == 0 and len(logs) == 2, out + err
    assert all("enabled in a child: True" in log for log in logs) and "nothing was switched" not in err


def test_what_does_not_import_ppdet_loads_nothing(run, tmp_path):
    """And the command says that nothing was switched."""
    (tmp_path / "child.py").write_text("import sys; print({'paddle', 'paddle_vfl'} & set(sys.modules))")
    status, out, err = run("starts.py")
    assert (status, out) == (0, "set()\n")
    assert (
        "neither starts.py nor a process that it started imported PaddleDetection's models: nothing was switched" in err
    )


def test_a_python_without_paddle_vfl_keeps_its_loss_and_says_so(run, tmp_path):
    (tmp_path / "child.py").write_text("import sys; sys.modules['paddle_vfl'] = None; import ppdet; print('went on')")
    status, out, err = run("starts.py")
    assert status == 0 and "went on" in out
    assert f"paddle-vfl run: {sys.executable} keeps PaddleDetection's own loss: " in err


def test_a_sitecustomize_that_is_there_already_runs_too(run, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "sitecustomize.py").write_text("import builtins; builtins.THEIRS = __name__, __file__")
    (tmp_path / "child.py").write_text("import sys; print(*THEIRS, THEIRS[0] in sys.modules)")
    status, out, err = run("starts.py", PYTHONPATH=str(tmp_path / "theirs"))
    assert (status, out) == (0, f"sitecustomize {tmp_path / 'theirs' / 'sitecustomize.py'} True\n"), err[-3000:]


def test_the_environment_is_put_back(monkeypatch):
    from paddle_vfl.ppdet_plugin import enable_in_child_processes

    monkeypatch.setenv("PYTHONPATH", "mine")
    monkeypatch.delenv("PADDLE_VFL_RUN", raising=False)
    before = dict(os.environ)
    with enable_in_child_processes() as switched:
        assert os.environ["PYTHONPATH"].endswith(f"child_processes{os.pathsep}mine") and not switched()
    assert dict(os.environ) == before


@pytest.mark.slow
def test_a_script_that_switches_itself_is_switched_once(run, tmp_path):
    """enable() imports PaddleDetection, which is what the command waits for."""
    (tmp_path / "script.py").write_text(
        "import paddle_vfl; paddle_vfl.enable()\n"
        "from ppdet.core.workspace import create\n"
        "print(hasattr(create, '__wrapped__'), hasattr(getattr(create, '__wrapped__', None), '__wrapped__'))"
    )
    status, out, err = run("script.py")
    assert (status, out.splitlines()[-1]) == (0, "True False"), err[-3000:]
