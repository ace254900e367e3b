"""What a user gets wrong in a config is named, with its key, before training starts."""

import pytest

import paddle_vfl
from paddle_vfl import cli
from paddle_vfl.ppdet_plugin.errors import ConfigError

PPYOLOE, PICODET, GFL = "ppyoloe_plus_digits.yml", "picodet_digits.yml", "gfl_digits.yml"
MISTAKES = [
    (
        PPYOLOE,
        {"PPYOLOEHead": {"loss": "VarifocalLos"}},
        "PPYOLOEHead.loss: there is no 'VarifocalLos'; did you mean 'VarifocalLoss'?",
    ),
    (
        PPYOLOE,
        {"PPYOLOEHead": {"loss": {"name": "VarifocalLos", "alpha": 0.5}}},
        "PPYOLOEHead.loss: there is no 'VarifocalLos'; did you mean 'VarifocalLoss'?",
    ),
    (PPYOLOE, {"PPYOLOEHead": {"loss": "Qwertyuiop"}}, "PPYOLOEHead.loss: there is no 'Qwertyuiop'"),
    (
        PPYOLOE,
        {"PPYOLOEHead": {"los": "VarifocalLoss"}},
        "PPYOLOEHead.los: PPYOLOEHead has no such option; did you mean 'loss'?",
    ),
    (
        PPYOLOE,
        {"PPYOLOEHead": {"loss": {"name": "VarifocalLoss", "alhpa": 0.5}}},
        "PPYOLOEHead.loss.alhpa: VarifocalLoss has no such option; did you mean 'alpha'?",
    ),
    (
        PPYOLOE,
        {"PPYOLOEHead": {"loss": {"name": "VarifocalLoss", "gamma": -1}}},
        "PPYOLOEHead.loss: gamma is -1, expected a finite number, at least 0",
    ),
    (
        PPYOLOE,
        {"PPYOLOEHead": {"loss": {"name": "VarifocalLoss", "alpha": "high"}}},
        "PPYOLOEHead.loss: alpha is 'high', a str, expected a number",
    ),
    (
        PPYOLOE,
        {"PPYOLOEHead": {"loss": {"alhpa": 0.5}}},
        "PPYOLOEHead.loss.alhpa: VarifocalLoss has no such option; did you mean 'alpha'?",
    ),
    (
        PPYOLOE,
        {"PPYOLOEHead": {"loss": "GIoULoss"}},
        "PPYOLOEHead.loss: got a GIoULoss, expected VarifocalLoss or QualityFocalLoss or MatchabilityAwareLoss, by "
        "name or as a mapping with that name",
    ),
    (PPYOLOE, {"VarifocalLoss": {"gamma": -1}}, "VarifocalLoss: gamma is -1, expected a finite number, at least 0"),
    (
        PPYOLOE,
        {"VarifocalLoss": {"gama": 1}},
        "VarifocalLoss.gama: VarifocalLoss has no such option; did you mean 'gamma'?",
    ),
    (
        PPYOLOE,
        {"VarifocaLoss": {"gamma": 1}},
        "VarifocaLoss: nothing in the config is called that; did you mean 'VarifocalLoss'?",
    ),
    (
        PICODET,
        {"PicoHeadV2": {"loss": "VarifocalLos"}},
        "PicoHeadV2.loss: there is no 'VarifocalLos'; did you mean 'VarifocalLoss'?",
    ),
    (
        PICODET,
        {"PicoHeadV2": {"loss_class": {"name": "VariFocalLoss"}}},
        "PicoHeadV2.loss_class: there is no 'VariFocalLoss'; did you mean 'VarifocalLoss'?",
    ),
    (
        PICODET,
        {"PicoHeadV2": {"loss_class": {"gamma": -2}}},
        "PicoHeadV2.loss_class: gamma is -2, expected a finite number, at least 0",
    ),
    (
        GFL,
        {"GFLHead": {"loss_class": "VarifocalLos"}},
        "GFLHead.loss_class: there is no 'VarifocalLos'; did you mean 'VarifocalLoss'?",
    ),
    (
        GFL,
        {"GFLHead": {"loss_clas": "VarifocalLoss"}},
        "GFLHead.loss_clas: GFLHead has no such option; did you mean 'loss_class'?",
    ),
]


@pytest.mark.parametrize("base, changes, message", MISTAKES)
def test_a_script_of_ones_own_is_told_the_key(base, changes, message, config):
    from ppdet.core.workspace import create, load_config

    cfg = load_config(str(config(base, **changes)))
    with pytest.raises(ConfigError) as error:
        create(cfg.architecture)
    assert str(error.value) == message


@pytest.mark.parametrize("base, changes, message", MISTAKES)
def test_the_command_line_says_it_in_one_line(base, changes, message, config, capsys, tmp_path):
    status = cli.main(["train", "-c", str(config(base, **changes))])
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("paddle-vfl ")]
    assert status == 2 and message.split(":")[0].split(".")[0] in line
    assert not list(tmp_path.glob("output/*/*.pdparams"))


def test_nothing_is_checked_once_the_plugin_is_off(config):
    from ppdet.core.workspace import load_config

    cfg = load_config(str(config(PPYOLOE, PPYOLOEHead={"los": "VarifocalLoss"})))
    paddle_vfl.disable()
    from ppdet.engine import Trainer

    with pytest.raises(TypeError, match="unexpected keyword argument 'los'"):
        Trainer(cfg, mode="train")


@pytest.mark.parametrize("key", ["_VarifocalLoss", "MyVarifocalLoss", "on", 1])
def test_a_key_that_holds_options_for_others_is_no_misspelling(key, config):
    from ppdet.core.workspace import create, load_config

    create(
        load_config(
            str(config(GFL, **{"GFLHead": {"loss": "VarifocalLoss"}}, **{str(key): {"alpha": 0.5}}))
        ).architecture
    )


def test_own_configs_of_ppdet_pass(config):
    """Names and options that PaddleDetection takes are not refused: the shipped configs of three architectures are
    built."""
    from ppdet.core.workspace import create, load_config

    for base in (PPYOLOE, PICODET, GFL):
        create(load_config(str(config(base))).architecture)
