"""What the detections of a finished run say: the AP of every class, and how well scores rank."""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.stats import pearsonr, spearmanr

IOU = 0.5  # of a detection with the box that it is matched with


def measure(annotations, detections):
    """{"classes": {name: AP}, "pearson": r, "spearman": rho, "matched": count}: the correlations are those of the score
    of a true positive with its IoU. None where there is nothing to correlate, and for a class without boxes.

    Args:
        annotations, detections (str): COCO files, of a validation set and of what was found in it.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluation = COCOeval(truth, truth.loadRes(str(detections)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # all sizes, most detections
    classes = {
        category["name"]: round(float(np.mean(precision[:, :, index])), 4)
        if (precision[:, :, index] > -1).any()
        else None
        for index, category in enumerate(truth.loadCats(evaluation.params.catIds))
    }
    scores, overlaps = _true_positives(evaluation)
    pairs = len(set(scores)) > 1 and len(set(overlaps)) > 1
    return {
        "classes": classes,
        "pearson": round(float(pearsonr(scores, overlaps)[0]), 4) if pairs else None,
        "spearman": round(float(spearmanr(scores, overlaps)[0]), 4) if pairs else None,
        "matched": len(scores),
    }


def _true_positives(evaluation):
    """(scores, IoU) of the detections that COCO's evaluation matches at IOU, of boxes of all sizes."""
    (threshold,) = np.flatnonzero(np.isclose(evaluation.params.iouThrs, IOU))
    scores, overlaps = [], []
    for image in evaluation.evalImgs:
        if image is None or image["aRng"] != evaluation.params.areaRng[0]:
            continue
        key = image["image_id"], image["category_id"]
        boxes = {box["id"]: column for column, box in enumerate(evaluation._gts[key])}
        for row, (score, match) in enumerate(zip(image["dtScores"], image["dtMatches"][threshold])):
            if match > 0:
                scores.append(score)
                overlaps.append(evaluation.ious[key][row, boxes[int(match)]])
    return scores, overlaps
