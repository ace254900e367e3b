"""Batches in which nothing is to be found."""

import functools

import paddle

__all__ = ["picodet_without_positives"]


def picodet_without_positives(patches):
    """PicoDet's losses become NaN or infinite at a batch without a box that it could find.

    PicoHeadV2 divides them by the sum of the scores, which is at least 1 in several processes only. A sum of 0 counts
    as 1 now.
    """
    from ppdet.modeling import heads

    head = getattr(heads, "PicoHeadV2", None)
    if head is None:
        return False
    patches.set(head, "get_loss", _at_least_finite(head.get_loss))
    return True


def _at_least_finite(get_loss):
    @functools.wraps(get_loss)
    def finite(self, *args, **kwargs):
        loss_vfl, sums = self.loss_vfl, []

        def divided(pred, target, avg_factor):
            sums.append(avg_factor)
            return loss_vfl(
                pred, target, avg_factor=paddle.where(avg_factor == 0, paddle.ones_like(avg_factor), avg_factor)
            )

        self.__dict__["loss_vfl"] = divided  # before the layer of that name
        try:
            losses = get_loss(self, *args, **kwargs)
        finally:
            del self.__dict__["loss_vfl"]
        (total,) = sums
        return {
            name: loss if name == "loss_vfl" else paddle.where(total == 0, paddle.zeros_like(loss), loss)
            for name, loss in losses.items()
        }

    return finite
