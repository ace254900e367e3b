"""PaddleDetection's assigners on small images and on batches without a box."""

import ast
import functools
import inspect
import textwrap

import paddle

__all__ = ["batches_without_boxes", "levels_of_few_cells", "yolof_without_boxes"]


def levels_of_few_cells(patches):
    """A model with ATSSAssigner does not train on small images: ValueError: (InvalidArgument) the attribute of k in the
    topk must not exceed the size

    It takes the 9 nearest cells of every level, and the last levels of small images have fewer. All of them are taken
    there now.
    """
    from ppdet.modeling.assigners import ATSSAssigner

    choose = ATSSAssigner._gather_topk_pyramid

    @functools.wraps(choose)
    def choose_of_what_is_there(self, gt2anchor_distances, num_anchors_list, pad_gt_mask):
        if min(num_anchors_list) >= self.topk:
            return choose(self, gt2anchor_distances, num_anchors_list, pad_gt_mask)
        topk, start, chosen = self.topk, 0, []
        try:
            for count in num_anchors_list:
                self.topk = min(topk, count)
                near, index = choose(self, gt2anchor_distances[:, :, start : start + count], [count], pad_gt_mask)
                chosen.append((near, index + start))
                start += count
        finally:
            self.topk = topk
        return tuple(paddle.concat(parts, axis=-1) for parts in zip(*chosen))

    patches.set(ATSSAssigner, "_gather_topk_pyramid", choose_of_what_is_there)
    return True


def batches_without_boxes(patches):
    """Training ends at a batch of images without a box: ValueError: not enough values to unpack (expected 4, got 3)

    ATSSAssigner and TaskAlignedAssigner of paddledet 2.6.0 leave out the last of their four values there, which of the
    anchors are positive. It is empty now.
    """
    from ppdet.modeling import assigners

    found = [cls for cls in (assigners.ATSSAssigner, assigners.TaskAlignedAssigner) if _counts_of_values(cls) == [3, 4]]
    for cls in found:
        patches.set(cls, "forward", _with_positives(cls.forward))
    return bool(found)


def yolof_without_boxes(patches):
    """YOLOF does not train on an image without a box: ValueError: (InvalidArgument) Cannot perform reduction along an
    axis (1) that has a size of 0

    UniformAssigner looks for the box that overlaps most with each anchor. Where there is none, all are negatives now.
    """
    from ppdet.modeling import assigners

    assigner = getattr(assigners, "UniformAssigner", None)
    if assigner is None:
        return False
    patches.set(assigner, "forward", _with_negatives_alone(assigner.forward))
    return True


def _with_negatives_alone(assign):
    @functools.wraps(assign)
    def assign_all(self, bbox_pred, anchor, gt_bboxes, gt_labels=None):
        if gt_bboxes.shape[0] > 0:
            return assign(self, bbox_pred, anchor, gt_bboxes, gt_labels)
        return paddle.full([bbox_pred.shape[0]], -1, "int32"), None, None

    return assign_all


def _counts_of_values(cls):
    """How many values the return statements of ``forward`` have. Other versions of PaddleDetection have three for
    all batches, and four where masks are learnt."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(cls.forward))))
    return sorted(len(node.value.elts) for node in ast.walk(tree) if isinstance(node, ast.Return))


def _with_positives(assign):
    @functools.wraps(assign)
    def assign_all(self, *args, **kwargs):
        assigned = assign(self, *args, **kwargs)
        if len(assigned) > 3:
            return assigned
        labels = assigned[0]
        return *assigned, paddle.zeros([labels.shape[0], 0, labels.shape[1]])

    return assign_all
