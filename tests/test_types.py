"""The type stub says what the package has: names, parameters, defaults."""

import ast
import inspect
from pathlib import Path

import paddle_vfl
from paddle_vfl import losses


def parameters(node):
    """[(name, "positional" or "keyword", default)] of a function in the stub."""
    args, none = node.args, inspect.Parameter.empty
    defaults = [none] * (len(args.args) - len(args.defaults)) + [ast.literal_eval(d) for d in args.defaults]
    listed = [(a.arg, "positional", d) for a, d in zip(args.args, defaults)]
    return listed + [(a.arg, "keyword", ast.literal_eval(d)) for a, d in zip(args.kwonlyargs, args.kw_defaults)]


def real_parameters(function):
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [
        (p.name, "keyword" if p.kind is keyword else "positional", p.default)
        for p in inspect.signature(function).parameters.values()
    ]


def test_the_stub_is_complete_and_right():
    package = Path(paddle_vfl.__file__).parent
    assert (package / "py.typed").exists()
    declared = set()
    for node in ast.parse((package / "__init__.pyi").read_text()).body:
        if isinstance(node, ast.AnnAssign):
            declared.add(node.target.id)
        elif isinstance(node, ast.FunctionDef):
            declared.add(node.name)
            assert parameters(node) == real_parameters(getattr(paddle_vfl, node.name)), node.name
        elif isinstance(node, ast.ClassDef):
            base = node.name.startswith("_")  # of public classes, and not public itself
            cls = getattr(losses if base else paddle_vfl, node.name.lstrip("_"))
            declared.update([] if base else [node.name])
            for method in (part for part in node.body if isinstance(part, ast.FunctionDef)):
                assert parameters(method) == real_parameters(getattr(cls, method.name)), method.name
    assert declared == set(paddle_vfl.__all__)
