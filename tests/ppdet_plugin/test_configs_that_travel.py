"""Configs with the line that switches the plugin on, where it is not installed; ways to keep a config free of the line;
and what is exported, which needs no plugin."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml

import paddle_vfl

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "train.py"
CONFIG = "ppyoloe_plus_digits.yml"
NOT_INSTALLED = "import sys, zlib; sys.modules['paddle_vfl'] = None\n"


def python(*args, cwd):
    paths = [os.environ.get("PPDET_SRC", ""), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, *map(str, args)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, env=env)
    return done.returncode, done.stdout + done.stderr


def test_the_message_where_the_plugin_is_not_installed(config, tmp_path):
    code = NOT_INSTALLED + "from ppdet.core.workspace import load_config; load_config(sys.argv[1])"
    status, out = python("-c", code, config(CONFIG), cwd=tmp_path)
    assert status == 1 and "while constructing a Python object" in out and "cannot find module 'paddle_vfl'" in out


def test_a_child_file_has_the_line(config, tmp_path):
    from ppdet.core.workspace import load_config

    plain = config(CONFIG, plugin_line=False)
    child = tmp_path / "fused.yml"
    child.write_text(f"_BASE_: [{plain.name}]\npaddle_vfl: !!python/object/apply:paddle_vfl.enable []\n")
    assert "paddle_vfl" not in yaml.safe_load(plain.read_text())
    load_config(str(child))
    assert paddle_vfl.status()["enabled"]


def test_the_command_line_has_the_line(config, tmp_path):
    plain = config(CONFIG, plugin_line=False, epoch=1)
    line = "paddle_vfl=!!python/object/apply:paddle_vfl.enable []"
    status, out = python(SCRIPT, "-c", plain, "-o", line, cwd=tmp_path)
    assert status == 0 and "PPYOLOEHead: fused varifocal loss, alpha 0.75, gamma 2.0" in out, out[-3000:]


INFER = """
import numpy as np
from paddle import inference

folder = sys.argv[1]
exported = inference.Config(*(folder + "/" + name for name in sys.argv[2:]))
exported.disable_gpu()
if hasattr(exported, "disable_mkldnn"):  # oneDNN, on by default in Paddle 3.3, does not know multiclass_nms3
    exported.disable_mkldnn()
predictor = inference.create_predictor(exported)
inputs = np.load(folder + "/inputs.npz")
for name in predictor.get_input_names():
    predictor.get_input_handle(name).copy_from_cpu(inputs[name])
predictor.run()
np.save(folder + "/boxes.npy", predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu())
"""


@pytest.mark.parametrize("base, head", [(CONFIG, "PPYOLOEHead"), ("vfnet_digits.yml", "VFNetHead")])
def test_an_exported_model_needs_no_plugin(base, head, config, tmp_path, rng):
    """And finds the same boxes."""
    from ppdet.core.workspace import load_config
    from ppdet.engine import Trainer

    path = config(base, **{head: {"nms": {"name": "MultiClassNMS", "nms_top_k": 100, "score_threshold": 0.0}}})
    trainer = Trainer(load_config(str(path)), mode="test")
    assert paddle_vfl.status()["enabled"]
    inputs = {
        "image": rng.random((1, 3, 128, 128), np.float32),
        "im_shape": np.full((1, 2), 128, np.float32),
        "scale_factor": np.ones((1, 2), np.float32),
    }
    trainer.model.eval()
    expected = trainer.model({name: paddle.to_tensor(value) for name, value in inputs.items()})["bbox"].numpy()
    trainer.export(str(tmp_path))
    folder = tmp_path / path.stem
    np.savez(folder / "inputs.npz", **inputs)
    program = "model.json" if (folder / "model.json").exists() else "model.pdmodel"  # of Paddle 3, of Paddle 2
    status, out = python("-c", NOT_INSTALLED + INFER, folder, program, "model.pdiparams", cwd=tmp_path)
    assert status == 0, out[-3000:]
    assert len(expected) > 1
    np.testing.assert_allclose(np.load(folder / "boxes.npy"), expected, rtol=1e-4, atol=1e-4)
