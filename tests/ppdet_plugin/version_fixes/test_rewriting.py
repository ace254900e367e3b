"""Functions compiled anew with other operators: the same program, on the same lines, and undone."""

import ast
import importlib.util
import inspect
import operator
import sys
import traceback
import types
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddle_vfl.ppdet_plugin.patches import Patches
from paddle_vfl.ppdet_plugin.version_fixes import operators, rewriting

NAMES = {name: ast_name for ast_name, name in operators.NAMES.items()}


class _Back(ast.NodeTransformer):
    """From calls of the other operators back to operators."""

    def visit_Call(self, node):
        self.generic_visit(node)
        function = node.func
        if not (isinstance(function, ast.Attribute) and getattr(function.value, "id", None) == rewriting.NAME):
            return node
        left, right = node.args
        if function.attr == "beside":
            return right
        symbol = getattr(ast, NAMES[function.attr])()
        if isinstance(symbol, ast.cmpop):
            return ast.Compare(left, [symbol], [right])
        return ast.BinOp(left, symbol, right)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
def test_ppdets_sources_stay_the_same_programs():
    """All modules with models: the new source has the same lines and, but for the calls, the same syntax tree."""
    import ppdet.modeling

    calls = 0
    for path in Path(ppdet.modeling.__file__).parent.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        new = rewriting._rewritten(source, operators.NAMES)
        assert new.count("\n") == source.count("\n"), path
        calls += new.count(f"{rewriting.NAME}.")
        assert ast.dump(_Back().visit(ast.parse(new))) == ast.dump(ast.parse(source)), path
    assert calls > 1000


# what may stand around operands and operators
_SPACES = st.sampled_from(["", " ", "  # a + b (c\n", "\n", " \\\n"])
_SYMBOLS = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "==", "!=", "<", "<=", ">", ">="])


@st.composite
def _joined(draw, parts):
    left, symbol, right = draw(parts), draw(_SYMBOLS), draw(parts)
    text = "".join([left, draw(_SPACES), symbol, draw(_SPACES), right])
    return f"({draw(_SPACES)}{text}{draw(_SPACES)})" if draw(st.booleans()) else text


_OPERANDS = st.sampled_from(["a", "b", "-a", "3", "(a)", "f(b)", "c[1]", "'é' * a", "f'{a + b}'", "(a if b else c)"])
_EXPRESSIONS = st.recursive(_OPERANDS, _joined, max_leaves=6)


@given(_EXPRESSIONS)
def test_an_expression_stays_the_same(expression):
    source = f"x = ({expression})\n"
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a backslash before a comment
        return
    new = rewriting._rewritten(source, operators.NAMES)
    assert ast.dump(_Back().visit(ast.parse(new))) == ast.dump(tree), new
    assert new.count("\n") == source.count("\n")


def test_what_is_rewritten_and_what_is_not():
    def new(source):
        return rewriting._rewritten(source, operators.NAMES).replace(rewriting.NAME, "_")

    assert new("a + b * c") == "_.add(a , _.mul(b , c))"
    assert new("(a < b) & (c >= d)") == "_.and_((_.lt(a , b)) , (_.ge(c , d)))"
    assert new("a += b - c") == "a += _.beside(a, _.sub(b , c))"
    assert new("self.a /= b") == "self.a /= _.beside(self.a, b)"
    for same in (
        "a + 1",
        "2 * a",
        "'%s' % a",
        "a < b < c",
        "a is b",
        "a in b",
        "a @ b",
        "a[i] += b",
        "f'{a + b}'",
        "-a",
    ):
        assert new(same) == same


MODULE = """
import functools


def passed_on(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


def plain(a, b):
    return a + b


class Head:
    scale = 2

    def method(self, a, b):
        return super().__repr__() and (a +
                                       b)

    @staticmethod
    def static(a, b):
        return a + b

    @classmethod
    def of_class(cls, a, b):
        return (a + b) * cls.scale

    @property
    def value(self):
        return self.scale + self.scale

    @passed_on
    def wrapped(self, a, b):
        def inner():
            return a + b

        return inner()


two = [lambda a, b: a + b, lambda a, b: a - b]
escape = "\\d"
"""


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "rewritten_module.py"
    path.write_text(MODULE)
    spec = importlib.util.spec_from_file_location("rewritten_module", path)
    module = sys.modules["rewritten_module"] = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
    yield module
    del sys.modules["rewritten_module"]


@pytest.fixture
def ten_more():
    """Operators of which add gives ten more."""
    functions = {name: getattr(operator, name) for name in operators.NAMES.values()}
    return types.SimpleNamespace(
        NAMES=operators.NAMES, beside=lambda left, right: right, **{**functions, "add": lambda a, b: a + b + 10}
    )


def results(module):
    head = module.Head()
    return [
        module.plain(1, 2),
        head.method(1, 2),
        head.static(1, 2),
        head.of_class(1, 2),
        head.value,
        head.wrapped(1, 2),
        module.two[0](1, 2),
        module.two[1](1, 2),
    ]


def test_functions_methods_and_what_is_under_decorators_change_and_change_back(module, ten_more):
    plain, source, held = module.plain, inspect.getsource(module.plain), dict(vars(module))
    before = results(module)
    assert before == [3, 3, 3, 6, 4, 3, 3, -1]
    patches = Patches()
    rewriting.rewrite_operators(patches, module, ten_more)
    assert results(module) == [13, 13, 13, 26, 14, 13, 3, -1]  # two lambdas on one line are left alone
    assert module.plain is plain and inspect.getsource(plain) == source.replace("a + b", f"{rewriting.NAME}.add(a , b)")
    patches.undo()
    assert results(module) == before and inspect.getsource(plain) == source and dict(vars(module)) == held


@pytest.mark.filterwarnings("error")
def test_warnings_of_the_source_are_not_given_again(module, ten_more):
    patches = Patches()
    rewriting.rewrite_operators(patches, module, ten_more)
    patches.undo()


def test_a_traceback_shows_the_line_of_the_file(module, ten_more):
    patches = Patches()
    rewriting.rewrite_operators(patches, module, ten_more)
    with pytest.raises(TypeError) as error:
        module.plain(1, None)
    frame = next(f for f in traceback.extract_tb(error.value.__traceback__) if f.name == "plain")
    assert frame.filename == module.__file__ and MODULE.splitlines()[frame.lineno - 1].strip() == "return a + b"
    patches.undo()


def test_static_graphs_are_translated_from_the_new_source(module, ten_more):
    """And from the old one again: Paddle keeps a translation for each function."""
    import paddle

    def translated():
        function = paddle.jit.to_static(module.plain, full_graph=True)
        return float(function(paddle.ones([1]), paddle.ones([1])))

    patches = Patches()
    assert translated() == 2
    rewriting.rewrite_operators(patches, module, ten_more)
    assert translated() == 12
    patches.undo()
    assert translated() == 2
