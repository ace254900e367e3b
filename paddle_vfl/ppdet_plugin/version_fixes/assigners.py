"""PaddleDetection's assigners on small images."""

import functools

import paddle

__all__ = ["levels_of_few_cells"]


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
