"""What a config says of a loss, read once into one object.

A loss is said by the key ``loss`` or ``loss_class`` of a module: a name, a mapping with a name, or an object that a
YAML tag made; and by the top-level block of that name, whose options hold where the module's own say nothing.
"""

import dataclasses
import difflib
import functools
import inspect

from ..losses import MatchabilityAwareLoss, QualityFocalLoss, VarifocalLoss, varifocal_loss
from .errors import ConfigError

__all__ = [
    "FAMILY",
    "NAME",
    "LossSpec",
    "family_name",
    "hint",
    "is_registered",
    "parameters",
    "read",
    "read_block",
    "read_loss",
    "untagged",
]

NAME = "VarifocalLoss"
FAMILY = {cls.__name__: cls for cls in (VarifocalLoss, QualityFocalLoss, MatchabilityAwareLoss)}


@dataclasses.dataclass(frozen=True)
class LossSpec:
    """A loss as a config says it. ``path`` is the key, for messages; ``options`` are those that it sets."""

    path: str
    name: str
    options: dict

    def layer(self, **implied):
        """The loss as a layer. ``implied`` are options that hold where the module's own key says nothing."""
        from ppdet.core.workspace import SchemaDict, create, global_config

        options = {**_block_options(self.name), **implied, **self.options}
        if self.name in FAMILY:
            return FAMILY[self.name](**options)
        block = global_config[self.name]
        if not isinstance(block, SchemaDict):  # a tag made it
            return block
        before = dict(block)
        block.update(options)
        try:
            return create(self.name)
        finally:
            block.clear()
            block.update(before)

    def read_options(self):
        """Keep what the config says of a loss of the family."""
        return self.formula if self.name in FAMILY else None

    @functools.cached_property
    def formula(self):
        """{option: value} of a loss of the family but for ``use_sigmoid`` and ``reduction``, which are a module's
        own: the arguments of ``varifocal_loss``, and ``loss_weight``."""
        layer = self.layer()
        return {**layer.formula, "loss_weight": layer.loss_weight}

    def summed(self, pred, target, use_sigmoid=True):
        """The loss of the family on predictions and their targets, as ``varifocal_loss`` takes them, summed."""
        formula = dict(self.formula)
        weight = formula.pop("loss_weight")
        return weight * varifocal_loss(pred, target, use_sigmoid=use_sigmoid, reduction="sum", **formula)


def read(path, value, there=None):
    """The LossSpec, or that of any injected module, of what a config has under a key; None if there is nothing.

    Args:
        path (str): the key, such as "PPYOLOEHead.loss".
        value: what the config has there.
        there (str): the name that a mapping without one means.

    Raises:
        ConfigError: nothing of that name is registered, or it does not take the options.
    """
    value = untagged(value)
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict):
        return None
    name = value.get("name", there)
    if name is None:
        raise ConfigError(f"{path}: the mapping has no name, expected {{name: {NAME}, ...}}")
    spec = LossSpec(path, str(name), {key: option for key, option in value.items() if key != "name"})
    _check(spec)
    if spec.name in FAMILY:
        read_block(spec.name)
    return spec


def read_loss(path, value, accepted=None, loss_class=None):
    """As :func:`read`, of a key that is for a loss alone. A mapping without a name means the loss that is there.

    Args:
        accepted (tuple[str]): the names of those that can go there, if not any.
        loss_class: what the config has under the key of that name, if the module has it.

    Raises:
        ConfigError: also if there is anything else.
    """
    before = untagged(loss_class)
    there = before.get("name") if isinstance(before, dict) else before
    is_loss = isinstance(there, str) and is_registered(there) and there in (accepted or [there])
    if is_loss and isinstance(before, dict) and isinstance(value, dict) and "name" not in value:
        value = {**before, **value}  # its options go on, where they are not said anew
    spec = read(path, value, there if is_loss else NAME)
    if (spec is None and value is not None) or (spec is not None and spec.name not in (accepted or [spec.name])):
        got = type(value).__name__ if spec is None else spec.name
        expected = " or ".join(accepted or FAMILY)
        raise ConfigError(f"{path}: got a {got}, expected {expected}, by name or as a mapping with that name")
    return spec


def read_block(name=NAME):
    """The LossSpec of the top-level block of that name.

    Raises:
        ConfigError: its options are wrong.
    """
    spec = LossSpec(name, name, _block_options(name))
    _check(spec)
    return spec


def family_name(value):
    """The name of the loss of the family that a key ``loss`` asks for, None if it asks for anything else."""
    value = untagged(value)
    name = value.get("name", NAME) if isinstance(value, dict) else value
    return name if isinstance(name, str) and name in FAMILY else None


def is_registered(name):
    """Whether a config can name it: a registered class, or an object that a YAML tag of the top level made."""
    from ppdet.core.workspace import global_config

    return hasattr(global_config.get(name), "__dict__")


def hint(word, known):
    """ "; did you mean '...'?", or nothing."""
    lowered = {candidate.lower(): candidate for candidate in known if isinstance(candidate, str)}
    close = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return f"; did you mean {lowered[close[0]]!r}?" if close else ""


def _check(spec):
    from ppdet.core.workspace import SchemaDict, global_config

    known = {
        name for name, value in global_config.items() if isinstance(value, SchemaDict) or hasattr(value, "__dict__")
    }
    if spec.name not in known:
        raise ConfigError(f"{spec.path}: there is no {spec.name!r}{hint(spec.name, known)}")
    schema = global_config[spec.name]
    if getattr(schema, "strict", False):
        for option in sorted(set(spec.options) - set(schema.schema)):
            raise ConfigError(f"{spec.path}.{option}: {spec.name} has no such option{hint(option, schema.schema)}")
    if spec.name in FAMILY:
        try:
            FAMILY[spec.name](**spec.options)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{spec.path}: {error}") from error


def _block_options(name):
    from ppdet.core.workspace import SchemaDict, global_config

    block = global_config[name]
    if isinstance(block, SchemaDict):
        return dict(block)
    return {key: option for key, option in (untagged(block) or {}).items() if key != "name"}


def parameters(cls):
    """[(name, default)] of what a class is made of."""
    return [(p.name, p.default) for p in list(inspect.signature(cls.__init__).parameters.values())[1:]]


def untagged(value):
    """An object that a tag such as ``!VarifocalLoss`` made, as a mapping; it may be PaddleDetection's. Else the
    value."""
    name = type(value).__name__
    if name not in FAMILY:
        return value
    options = {option: getattr(value, option) for option, _ in parameters(FAMILY[name]) if hasattr(value, option)}
    return {"name": name, **options}
