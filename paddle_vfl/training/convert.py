"""``paddle-vfl convert-vfnet``."""

from ..errors import UserError
from ..vfnet.torch_files import read_tensors
from . import configs

__all__ = ["convert_vfnet"]


def convert_vfnet(source, target, config=None):
    """Write the weights of an mmdetection checkpoint of VFNet as PaddleDetection reads them.

    Args:
        source (str): the checkpoint. It is read without executing what it holds.
        target (str): the ``.pdparams`` file to write.
        config (str, optional): a config of the model. Default: the paper's, with ResNet of the checkpoint's depth.

    Returns:
        int: how many tensors were written.

    Raises:
        UserError: PyTorch is missing, the file is not such a checkpoint, or it does not fit the
            model.
    """
    if not str(target).endswith(".pdparams"):
        raise UserError(f"{target}: expected a name that ends in .pdparams")
    theirs = read_tensors(source)
    configs.switch_on()

    import paddle
    from ppdet.core.workspace import create

    from ..vfnet.convert import converted, model_of

    model = None if config is None else create(configs.load(config, ["use_gpu=false"]).architecture)
    try:
        ours = converted(theirs, model_of(theirs) if model is None else model)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    try:
        paddle.save(ours, str(target))
    except OSError as error:
        raise UserError(f"{target}: {error.strerror}") from error
    return len(ours)
