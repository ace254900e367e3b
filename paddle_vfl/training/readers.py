"""What reads a mapping of a config: a class that it names, or the code that takes keys from the config."""

import ast
import dataclasses
import functools
import importlib.util
import inspect
import numbers
import re
from pathlib import Path

__all__ = [
    "Reader",
    "architectures",
    "data_sets",
    "metrics",
    "optimizers",
    "reader_of_config",
    "reader_of_mapping",
    "regularizers",
    "schedulers",
]


@dataclasses.dataclass(frozen=True)
class Reader:
    """What reads a mapping: its name, {key: default} of the keys that it reads, None where there is no default, and
    whether it fails on any other."""

    name: str
    keys: dict
    strict: bool


def reader_of_mapping(path, mapping):
    """The Reader of a mapping.

    Args:
        path (tuple[str]): the keys that lead to it.
        mapping (dict): the mapping.

    Returns:
        Reader: None where it is not known what reads it.
    """
    from ppdet.core.workspace import SchemaDict, global_config
    from ppdet.data import source, transform
    from ppdet.optimizer import OptimizerBuilder, optimizer

    if path[-1].endswith("_transforms"):  # a list of {name: options}
        return Reader("PaddleDetection", dict.fromkeys(_classes(transform)), True)
    if len(path) > 1 and path[-2].endswith("_transforms"):
        return _reader_of(getattr(transform, path[-1], None))
    if path == ("OptimizerBuilder", "optimizer"):
        taken = dict.fromkeys(OptimizerBuilder.__call__.__code__.co_consts)  # such as param_groups
        return _reader_of(optimizers().get(str(mapping.get("type"))), taken)
    name = mapping.get("name")
    if not (name is None or isinstance(name, str)):
        return None
    if isinstance(mapping, SchemaDict) and name is None:
        return _reader_of_schema(mapping)
    if isinstance(global_config.get(name), SchemaDict):
        return _reader_of_schema(global_config[name])
    return _reader_of(_classes(source, optimizer).get(name))


def _classes(*modules):
    return {name: value for module in modules for name, value in vars(module).items() if inspect.isclass(value)}


def architectures():
    """{name: schema} of what ``architecture`` may be."""
    from ppdet.core.workspace import get_registered_modules

    return {name: s for name, s in get_registered_modules().items() if s.category == "architecture"}


def optimizers():
    """{name: class, or function that builds one} of what ``OptimizerBuilder.optimizer.type`` may be."""
    import paddle
    from ppdet.optimizer import optimizer

    known = _classes(paddle.optimizer, optimizer)
    known = {name: cls for name, cls in known.items() if issubclass(cls, paddle.optimizer.Optimizer)}
    return {name: getattr(optimizer, f"build_{name.lower()}", cls) for name, cls in known.items()}


def regularizers():
    """The names that ``OptimizerBuilder.regularizer.type`` may be."""
    import paddle

    return [name[: -len("Decay")] for name in _classes(paddle.regularizer) if name.endswith("Decay")]


def data_sets():
    """The names that a data set may have."""
    from ppdet.data import source

    return _classes(source)


def schedulers():
    """The names that one of ``LearningRate.schedulers`` may have."""
    from ppdet.optimizer import optimizer

    return {name: cls for name, cls in _classes(optimizer).items() if cls.__module__ == optimizer.__name__}


def metrics():
    """The names that PaddleDetection's code compares ``metric`` with."""
    return _names_read()["metric"]


def _reader_of_schema(schema):
    from ppdet.core.workspace import SharedConfig

    keys = {key: getattr(value, "default", None) for key, value in schema.schema.items()}
    keys = {key: d.default_value if isinstance(d, SharedConfig) else d for key, d in keys.items()}
    if not schema.strict:
        reader = _reader_of(getattr(schema.pymodule, schema.name))
        keys = {**_names_read()["below"], **reader.keys, **keys}
    return Reader(schema.name, keys, schema.strict)


def _reader_of(maker, taken=()):
    """What is taken before, and the parameters of a class or a function; where it takes others too, those of the bases
    and all that code takes from such options. None of None."""
    if maker is None:
        return None
    keys, more = dict(taken), False
    inits = [vars(base).get("__init__") for base in maker.__mro__] if inspect.isclass(maker) else [maker]
    for init in filter(inspect.isfunction, inits):
        parameters = inspect.signature(init).parameters.values()
        known = {p.name: None if p.default is p.empty else p.default for p in parameters if p.kind != p.VAR_KEYWORD}
        keys = {**known, **keys}
        if len(known) == len(parameters):
            break
        more = True
    return Reader(maker.__name__, {**_names_read()["kwargs"], **keys} if more else keys, not more)


def reader_of_config():
    """The Reader of the top level: modules, the keys that they share, and those that the code of PaddleDetection and of
    this package takes from the config."""
    from ppdet.core.workspace import get_registered_modules

    modules = get_registered_modules()
    shared = {
        schema.schema[key].default.key: schema.schema[key].default.default_value
        for schema in modules.values()
        for key in schema.shared
    }
    return Reader(
        "PaddleDetection", {"paddle_vfl": None, **dict.fromkeys(modules), **_names_read()["top"], **shared}, False
    )


# .get("key", default), ["key"], .key, [anything]
_ACCESS = r"""\s*(?:
    \.(?:get|pop|setdefault)\(\s*['"](?P<got>\w+)['"]\s*(?:,\s*(?P<default>[^\s,()]+)\s*)?\)
    | \[\s*['"](?P<item>\w+)['"]\s*\]
    | \.(?P<attribute>\w+)
    | \[[^\[\]]*\]
)"""
_READ = re.compile(_ACCESS, re.VERBOSE)
_READS = re.compile(rf"\b(cfg|global_config|kwargs)((?:{re.sub(r'P<[a-z]+>', ':', _ACCESS)})+)", re.VERBOSE)
_MEMBER = re.compile(r"""['"](\w+)['"]\s+(?:not\s+)?in\s+(?:\w+\.)*cfg\b|(?:get|has)attr\((?:\w+\.)*cfg, ['"](\w+)""")
_METRIC = re.compile(r"""\bcfg\.metric\s*==\s*['"](\w+)['"]""")


@functools.lru_cache(None)
def _names_read():
    """The names that code takes from the config, from what is below its top level, and from options handed on to it:
    {"top", "below", "kwargs"} -> {name: default}; under "metric" those that it compares a metric with."""
    read = {"top": {}, "below": {}, "kwargs": {}, "metric": {}}
    packages = importlib.util.find_spec("ppdet").submodule_search_locations
    for file in (file for folder in (*packages, Path(__file__).parent) for file in Path(folder).rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        for name, chain in _READS.findall(text):
            for depth, match in enumerate(_READ.finditer(chain)):
                key = match["got"] or match["item"] or match["attribute"]
                where = "kwargs" if name == "kwargs" else "top" if depth == 0 else "below"
                if key and read[where].get(key) is None:
                    read[where][key] = _number(match["default"])
        for names in _MEMBER.findall(text):
            read["top"].setdefault(names[0] or names[1])
        read["metric"].update(dict.fromkeys(_METRIC.findall(text)))
    return read


def _number(text):
    """The number that is written there, or None."""
    try:
        value = ast.literal_eval(text or "None")
    except (ValueError, SyntaxError):
        return None
    return None if isinstance(value, bool) or not isinstance(value, numbers.Number) else value
