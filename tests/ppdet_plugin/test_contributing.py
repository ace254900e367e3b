"""The call site that CONTRIBUTING.md shows is all that a new head needs."""

import re
from pathlib import Path

import paddle
import pytest

import paddle_vfl
from paddle_vfl.ppdet_plugin import call_sites

PAGE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"


@pytest.fixture
def my_head(monkeypatch):
    """A registered head as the page's call site looks for it, and that call site among ours."""
    from ppdet.core.workspace import global_config, register

    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = {}
    exec(code, names)
    monkeypatch.setattr(call_sites, "SITES", (*call_sites.SITES, names["Attribute"]()))

    class MyHead(paddle.nn.Layer):
        def __init__(self, channels=8):
            super().__init__()
            self.cls_loss = paddle.nn.BCEWithLogitsLoss()

        def get_loss(self, logits, scores):
            return self.cls_loss(logits, scores)

    monkeypatch.setitem(globals(), "MyHead", MyHead)
    register(MyHead)
    yield MyHead
    paddle_vfl.disable()
    del global_config["MyHead"]


def test_the_head_takes_the_key_and_the_block(my_head, op_calls):
    from ppdet.core import workspace

    paddle_vfl.enable()
    assert "MyHead: cls_loss" in paddle_vfl.status()["switched"]
    workspace.merge_config({"VarifocalLoss": {"alpha": 0.25}, "MyHead": {"loss": "VarifocalLoss"}})
    head = workspace.create("MyHead")
    head.get_loss(paddle.zeros([2, 3]), paddle.zeros([2, 3]))
    assert (head.cls_loss.alpha, head.cls_loss.reduction, len(op_calls)) == (0.25, "sum", 1)
    workspace.merge_config({"MyHead": {"loss": {"name": "VarifocalLoss", "gamma": -1}}})
    with pytest.raises(ValueError, match="MyHead.loss: gamma is -1"):
        workspace.create("MyHead")


def test_disable_takes_the_key_away(my_head):
    paddle_vfl.enable()
    paddle_vfl.disable()
    with pytest.raises(TypeError, match="loss"):
        my_head(loss="VarifocalLoss")
