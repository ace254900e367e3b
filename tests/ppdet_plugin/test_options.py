"""Settings laid over a config: none is lost, and a mapping without a name means the module that is there."""

import subprocess
import sys

import pytest
import yaml

import paddle_vfl
from paddle_vfl.ppdet_plugin import loss_key
from paddle_vfl.ppdet_plugin.errors import ConfigError
from paddle_vfl.ppdet_plugin.options import parse_options


def test_options_nest():
    assert parse_options(["a=1", "b.c=[2, x]", "b.d.e=text", "b.d.f=true"]) == {
        "a": 1,
        "b": {"c": [2, "x"], "d": {"e": "text", "f": True}},
    }
    for option in ("=1", "a.=1", "a"):
        with pytest.raises(ConfigError, match="expected key=value"):
            parse_options([option])
    with pytest.raises(ConfigError, match="was given a value before"):
        parse_options(["a=1", "a.b=2"])


def test_a_mapping_after_one_of_its_keys():
    assert parse_options(["a.b=1", "a={c: 2}"]) == {"a": {"b": 1, "c": 2}}
    assert parse_options(["a.b.c=1", "a.d=2", "a={b: {e: 3}, d: 4}"]) == {"a": {"b": {"c": 1, "e": 3}, "d": 4}}
    for option in ("a=2", "a={name: VarifocalLoss}", "a=null"):
        with pytest.raises(ConfigError, match="keys of a were given before"):
            parse_options(["a.b=1", option])


@pytest.mark.parametrize(
    "text, number",
    [
        ("1e-3", 1e-3),
        ("2E5", 2e5),
        ("-1.e-2", -0.01),
        ("[1e-1, 1]", [0.1, 1]),
        ("{b: [{c: 1e-1}]}", {"b": [{"c": 0.1}]}),
    ],
)
def test_numbers_that_yaml_takes_for_text(text, number):
    assert parse_options([f"a={text}"]) == {"a": number}


@pytest.mark.parametrize("text", ["e-3", "1e", "x1e-3", "'1e-3 s'", "1_000e3.5"])
def test_other_texts_stay(text):
    assert parse_options([f"a={text}"]) == {"a": yaml.safe_load(text)}


def merged(*configs):
    """The global config, with one laid over another as PaddleDetection does it."""
    paddle_vfl.enable()
    from ppdet.core.workspace import global_config, merge_config

    for config in configs:
        merge_config(config)
    return global_config


@pytest.mark.parametrize(
    "there, over, expected",
    [
        ({"loss": "VarifocalLoss"}, {"loss": {"alpha": 0.5}}, {"name": "VarifocalLoss", "alpha": 0.5}),
        (
            {"loss": {"name": "VarifocalLoss", "gamma": 1}},
            {"loss": {"alpha": 0.5}},
            {"name": "VarifocalLoss", "gamma": 1, "alpha": 0.5},
        ),
        ({"loss": "VarifocalLoss"}, {"loss": {"name": "GIoULoss", "eps": 1}}, {"name": "GIoULoss", "eps": 1}),
        ({"loss": "mean"}, {"loss": {"alpha": 0.5}}, {"alpha": 0.5}),
        ({}, {"loss": {"alpha": 0.5}}, {"alpha": 0.5}),
    ],
)
def test_a_mapping_without_a_name(there, over, expected):
    assert merged({"PPYOLOEHead": there}, {"PPYOLOEHead": over})["PPYOLOEHead"]["loss"] == expected


def test_a_mapping_without_a_name_over_a_default():
    head = merged({"PPYOLOEHead": {"assigner": {"topk": 5}}})["PPYOLOEHead"]
    assert head["assigner"] == {"name": "TaskAlignedAssigner", "topk": 5}


def test_a_mapping_over_what_a_tag_made():
    text = "EvalDataset: !COCODataSet {dataset_dir: a, image_dir: b}"
    paddle_vfl.enable()
    made = yaml.load(text, Loader=yaml.Loader)
    config = merged(made, {"EvalDataset": {"dataset_dir": "c"}})
    data = config["EvalDataset"]
    assert type(data).__name__ == "COCODataSet" and (data.dataset_dir, data.image_dir) == ("c", "b")
    assert made["EvalDataset"].dataset_dir == "a"
    with pytest.raises(
        ConfigError, match="EvalDataset.datasetdir: COCODataSet has no such option; did you mean 'dataset_dir'"
    ):
        merged({"EvalDataset": {"datasetdir": "c"}})


@pytest.mark.parametrize(
    "tag, option, expected",
    [
        ("VarifocalLoss {iou_weighted: false}", {"iou_weighted": True}, {"iou_weighted": True}),
        ("VarifocalLoss {alpha: 0.5}", {"gamma": 1.0}, {"alpha": 0.5, "gamma": 1.0}),
        ("QualityFocalLoss {beta: 1.5}", {"beta": 1.0}, {"gamma": 1.0}),
        ("MatchabilityAwareLoss {}", {"gamma": 1.0}, {"gamma": 1.0, "target_power": 1.0}),
    ],
)
def test_a_mapping_over_a_loss_that_a_tag_made(tag, option, expected):
    paddle_vfl.enable()
    made = yaml.load(f"GFLHead: {{loss: !{tag}}}", Loader=yaml.Loader)
    loss = merged(made, {"GFLHead": {"loss": option}})["GFLHead"]["loss"]
    formula = loss_key.read_loss("GFLHead.loss", loss).formula
    assert {name: formula[name] for name in expected} == expected


def test_an_option_over_the_block_that_a_tag_made():
    paddle_vfl.enable()
    made = yaml.load("VarifocalLoss: !VarifocalLoss {alpha: 0.5}", Loader=yaml.Loader)
    loss = merged(made, {"VarifocalLoss": {"gamma": 3.0}})["VarifocalLoss"]
    assert type(loss) is paddle_vfl.VarifocalLoss and (loss.alpha, loss.gamma) == (0.5, 3.0)


def test_an_option_that_the_loss_of_a_tag_does_not_have():
    paddle_vfl.enable()
    made = yaml.load("GFLHead: {loss: !QualityFocalLoss {}}", Loader=yaml.Loader)
    loss = merged(made, {"GFLHead": {"loss": {"gamma": 1.0}}})["GFLHead"]["loss"]
    with pytest.raises(ConfigError, match="GFLHead.loss.gamma: QualityFocalLoss has no such option"):
        loss_key.read_loss("GFLHead.loss", loss)


TOOL = """
import sys
{first}
from ppdet.core.workspace import load_config, merge_config
from ppdet.utils.cli import ArgsParser

FLAGS = ArgsParser().parse_args()
cfg = load_config(FLAGS.config)
for _ in range(2):  # as PaddleDetection's tools do
    merge_config(FLAGS.opt)
print("OPTIONS", dict(cfg["PPYOLOEHead"])["loss"], dict(cfg["LearningRate"]))
"""


@pytest.mark.parametrize("first", ["", "import paddle_vfl; paddle_vfl.enable()"], ids=["after", "before"])
def test_tools_of_paddledetection_lose_no_option(first, tmp_path):
    """Whether the plugin is switched on before or after they parse."""
    script, config = tmp_path / "tool.py", tmp_path / "config.yml"
    script.write_text(TOOL.format(first=first))
    config.write_text(
        "paddle_vfl: !!python/object/apply:paddle_vfl.enable []\nPPYOLOEHead: {loss: VarifocalLoss}\n"
        "LearningRate: {base_lr: 0.1}"
    )
    options = ["PPYOLOEHead.loss.alpha=0.5", "PPYOLOEHead.loss.gamma=1.5", "LearningRate.base_lr=1e-3"]
    done = subprocess.run(
        [sys.executable, str(script), "-c", str(config), "-o", *options], capture_output=True, text=True, timeout=120
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("OPTIONS")]
    assert lines == ["OPTIONS {'name': 'VarifocalLoss', 'alpha': 0.5, 'gamma': 1.5} {'base_lr': 0.001}"], (
        done.stdout + done.stderr[-2000:]
    )
