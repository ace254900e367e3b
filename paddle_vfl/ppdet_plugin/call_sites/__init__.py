"""The places at which PaddleDetection computes varifocal loss, a file for each way of reaching the loss.

CONTRIBUTING.md shows how to add one.
"""

from .function import VARIFOCAL_LOSS, VARIFOCAL_LOSS_WITH_LOGITS
from .loss_class import LossClass
from .registry import Registry
from .site import running_loss, switch_site
from .static_method import StaticMethod

__all__ = ["running_loss", "switch_call_sites"]

SITES = (Registry(), LossClass(), StaticMethod(), VARIFOCAL_LOSS, VARIFOCAL_LOSS_WITH_LOGITS)


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
