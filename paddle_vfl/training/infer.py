"""``paddle-vfl infer``, and the boxes as data."""

from pathlib import Path

from ..errors import UserError
from . import checkpoints, configs, data_checks

__all__ = ["detect", "infer"]


def infer(config, options=(), image=None, folder=None, output_dir="output", draw_threshold=0.5, save_results=False):
    """Draw the boxes that the ``weights`` of a config find in an image or in a folder's images.

    Returns the paths written.

    Raises:
        UserError: the config, the weights or the images are missing or wrong.
    """
    if (image is None) == (folder is None):
        raise UserError("give either --infer_img or --infer_dir")
    images = data_checks.find_images(image, folder)
    cfg = configs.load(config, options)
    trainer = checkpoints.trainer_with_weights(cfg, "test")
    trainer.predict(
        [str(path) for path in images],
        draw_threshold=draw_threshold,
        output_dir=str(output_dir),
        save_results=save_results,
    )
    return [Path(output_dir) / path.name for path in images]


def detect(config, options, folder):
    """The boxes that the ``weights`` of a config find in a folder's images, best first.

    Returns:
        dict[pathlib.Path, list]: for each image its ``(class name, score, (x, y, width, height))``, in pixels.

    Raises:
        UserError: the config, the weights or the images are missing or wrong.
    """
    images = data_checks.find_images(None, folder)
    cfg = configs.load(config, options)
    trainer = checkpoints.trainer_with_weights(cfg, "test")

    from ppdet.core.workspace import create
    from ppdet.data.source.category import get_categories

    trainer.dataset.set_images([str(path) for path in images])
    loader = create("TestReader")(trainer.dataset, 0)
    _, names = get_categories(cfg.metric, anno_file=trainer.dataset.get_anno())
    names = list(names.values())
    trainer.model.eval()
    found = {}
    for data in loader:
        outputs = trainer.model(data)
        boxes, start = outputs["bbox"].numpy(), 0
        for image_id, count in zip(data["im_id"].numpy().ravel(), outputs["bbox_num"].numpy()):
            found[images[int(image_id)]] = [
                (names[int(label)], float(score), (float(x1), float(y1), float(x2 - x1), float(y2 - y1)))
                for label, score, x1, y1, x2, y2 in sorted(boxes[start : start + count], key=lambda box: -box[1])
                if label >= 0
            ]
            start += count
    return found
