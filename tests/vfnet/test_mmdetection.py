"""Our VFNetHead against what mmdetection's own computed, with the same weights, features and boxes.

tools/mmdetection_vfnet.py wrote the file: ``--channels 32 --convs 1 --classes 5 --size 128``. VFNET_ORIGINAL=OUT.npz
compares with another one, of full size for instance.
"""

import os
from pathlib import Path

import numpy as np
import paddle
import pytest

from paddle_vfl.vfnet.mmdetection import paddle_names

FILE = Path(os.environ.get("VFNET_ORIGINAL", Path(__file__).with_name("mmdetection.npz")))
STRIDES = (8, 16, 32, 64, 128)
TOLERANCE = 1e-4  # of the largest number


@pytest.fixture(scope="module")
def original():
    return np.load(FILE)


def part(original, name):
    """{the rest of the key: array} of the keys that begin with the name."""
    return {key.split("/", 1)[1]: original[key] for key in original.files if key.startswith(name + "/")}


@pytest.fixture
def head(original):
    """Our head with the original's weights."""
    from ppdet.modeling.assigners import ATSSAssigner
    from ppdet.modeling.layers import MultiClassNMS
    from ppdet.modeling.losses import GIoULoss

    from paddle_vfl import VarifocalLoss
    from paddle_vfl.vfnet.head import VFNetHead

    weights = part(original, "weight")
    classes, channels = weights["bbox_head.vfnet_cls.weight"].shape[:2]
    head = VFNetHead(
        [channels] * 5,
        STRIDES,
        num_classes=classes,
        feat_channels=channels,
        num_convs=sum(name.startswith("bbox_head.cls_convs.") and name.endswith("conv.weight") for name in weights),
        assigner=ATSSAssigner(topk=9, num_classes=classes),
        loss_class=VarifocalLoss(),
        loss_bbox=GIoULoss(),
        nms=MultiClassNMS(nms_top_k=1000, keep_top_k=100, score_threshold=0.05, nms_threshold=0.6),
    )
    names = paddle_names(weights)
    assert set(names) == set(weights)
    missing, unexpected = head.set_state_dict(
        {
            names[name].split(".", 1)[1]: array.reshape(-1) if array.ndim == 0 else array
            for name, array in weights.items()
        }
    )
    assert not missing and not unexpected
    return head


@pytest.fixture
def features(original):
    return [paddle.to_tensor(array, stop_gradient=False) for array in part(original, "feature").values()]


@pytest.fixture
def gt_meta(original):
    boxes, labels = original["boxes"], original["labels"]
    return {
        "gt_bbox": paddle.to_tensor(boxes),
        "gt_class": paddle.to_tensor(labels[..., None].astype("int32")),
        "pad_gt_mask": paddle.ones([*labels.shape, 1]),
    }


def assert_close(ours, theirs, name):
    assert ours.shape == theirs.shape, name
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * np.abs(theirs).max(), err_msg=name)


def test_outputs(head, features, original):
    for name, levels in zip(("logits", "first", "refined"), head(features)):
        for i, level in enumerate(levels):
            assert_close(level.numpy(), original[f"{name}/{i}"], f"{name}, level {i}")


def test_losses_and_gradients(head, features, gt_meta, original):
    losses = head.get_loss(head(features), gt_meta)
    for name, theirs in part(original, "loss").items():
        assert_close(losses[name].numpy(), theirs, name)
    paddle.add_n(list(losses.values())).backward()
    names = paddle_names(part(original, "weight"))
    parameters = dict(head.named_parameters())
    for name, theirs in part(original, "grad").items():
        ours = parameters[names[name].split(".", 1)[1]].grad.numpy()
        assert_close(ours.reshape(theirs.shape), theirs, name)
    feature_grads = [(f.grad.numpy(), original[f"grad_feature/{i}"]) for i, f in enumerate(features)]
    # together: that of a level of one cell is 0 behind the group normalization, but for rounding
    assert_close(*(np.concatenate([g.ravel() for g in grads]) for grads in zip(*feature_grads)), "features")


def test_detections(head, features, original):
    head.eval()
    size = float(original["size"])
    found, counts = head.post_process(head(features), paddle.full([2, 2], size), paddle.ones([2, 2]))
    start = 0
    for i, count in enumerate(counts.tolist()):
        theirs = original[f"found/{i}"]
        ours, start = found[start : start + count].numpy(), start + count
        ours, theirs = (rows[np.lexsort((rows[:, 0], -rows[:, 1]))] for rows in (ours, theirs))
        assert count == len(theirs)
        np.testing.assert_array_equal(ours[:, 0], theirs[:, 0])
        assert_close(ours[:, 1], theirs[:, 1], "scores")
        assert_close(ours[:, 2:], theirs[:, 2:], "boxes")
