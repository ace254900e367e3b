"""The places at which PaddleDetection computes varifocal loss, or can: a file for each way of reaching the loss.

CONTRIBUTING.md shows how to add one.
"""

from .anchors import Anchors
from .detr import MatchedQueries
from .fcos import FCOS
from .function import VARIFOCAL_LOSS, VARIFOCAL_LOSS_WITH_LOGITS
from .loss_class import LossClass
from .refusals import refuse
from .registry import Registry
from .site import accepted_by, running_loss, switch_site
from .soft_scores import ScoresAndLogits, ScoresAndProbabilities
from .static_method import StaticMethod

__all__ = ["accepted_by", "refuse", "running_loss", "switch_call_sites"]

SITES = (
    Registry(),
    LossClass(),
    StaticMethod(),
    VARIFOCAL_LOSS,
    VARIFOCAL_LOSS_WITH_LOGITS,
    ScoresAndProbabilities(),
    ScoresAndLogits(),
    Anchors(),
    FCOS(),
    MatchedQueries(),
)


def switch_call_sites(patches, modules):
    """Let every place use the fused loss.

    Args:
        patches (Patches): undoes it.
        modules (Mapping[type, SchemaDict]): PaddleDetection's registered classes.

    Returns:
        tuple[list[str], list[str]]: names of the places switched, and of those left alone because they look different.
    """
    switched, left_alone = [], []
    for site in SITES:
        for place, fits in switch_site(site, patches, modules):
            (switched if fits else left_alone).append(place)
    return switched, left_alone
