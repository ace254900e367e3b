"""The functions of a module, compiled anew with other operators.

A function stays the object that it is and gets new code, so that all who hold it run that. Its source is then the new
one too, line for line: Paddle translates sources into static graphs, and tracebacks show them.
"""

import ast
import functools
import inspect
import io
import linecache
import re
import types
import warnings

from paddle.jit.dy2static import program_translator

__all__ = ["rewrite_operators"]

NAME = "_paddle_vfl_operators"  # of the other operators, in the new code
# what stands between the left operand and the operator, and the operator
_OPERATOR = re.compile(rb"(?:[\s)\\]|#[^\n]*\n)*(\*\*|//|<=|>=|==|!=|[-+*/%&|^<>])")


def rewrite_operators(patches, module, operators):
    """Let ``operators`` compute the binary operators in a module's functions and methods.

    It has a function for each of the operators in its ``NAMES``, and ``beside(left, right)``, what an augmented
    assignment is to do with its right side.
    """
    path = module.__file__
    source, codes = _compiled(path, tuple(operators.NAMES.items()))
    functions = [function for function in _functions(module) if _key(function.__code__) in codes]
    if not functions:
        return
    patches.set(module, NAME, operators)
    patches.set_item(linecache.cache, path, (len(source), None, io.StringIO(source).readlines(), path))
    for function in functions:
        patches.on_undo(functools.partial(_set_code, function, function.__code__))
        _set_code(function, codes[_key(function.__code__)])


def _set_code(function, code):
    function.__code__ = code
    # Paddle keeps its translations by function
    program_translator._FUNCTION_CACHE._converted_static_func_caches.pop(function, None)


@functools.cache
def _compiled(path, names):
    """(source, {key: code of a function}) of a file with the operators replaced. Functions of the same key are left
    out, as lambdas on one line are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of strings in it, that Python has given before
        source = _rewritten("".join(linecache.getlines(path)), dict(names))
        pending = [compile(source, path, "exec", dont_inherit=True)]
    codes, twice = {}, set()
    while pending:
        for code in pending.pop().co_consts:
            if isinstance(code, types.CodeType):
                twice.update({_key(code)} & set(codes))
                codes[_key(code)] = code
                pending.append(code)
    return source, {key: code for key, code in codes.items() if key not in twice}


def _key(code):
    return code.co_filename, code.co_name, code.co_firstlineno, code.co_freevars


def _functions(module):
    """The functions and methods that the module defines, those under decorators too."""
    for value in vars(module).values():
        members = vars(value).values() if inspect.isclass(value) and value.__module__ == module.__name__ else [value]
        for member in members:
            function = getattr(member, "__func__", getattr(member, "fget", member))
            while function is not None:
                if inspect.isfunction(function):
                    yield function
                function = getattr(function, "__wrapped__", None)


def _rewritten(source, names):
    """Every ``left + right`` as ``NAME.add(left , right)``, on the same lines."""
    text = source.encode()
    starts = [0]
    for line in io.BytesIO(text):
        starts.append(starts[-1] + len(line))

    def start(node):
        return starts[node.lineno - 1] + node.col_offset

    def end(node):
        return starts[node.end_lineno - 1] + node.end_col_offset

    edits = []  # (where, rank among those at the same place, bytes taken out, bytes put in)

    def call(node, function, argument=b""):
        edits.append((start(node), 2, 0, f"{NAME}.{function}(".encode() + argument))
        edits.append((end(node), 0, 0, b")"))

    pending = [ast.parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.JoinedStr):  # before Python 3.12, what is inside does not say where it is
            continue
        pending.extend(ast.iter_child_nodes(node))
        binary = _binary(node)
        if binary is not None:
            left, operator, right = binary
            name = names.get(type(operator).__name__)
            if name is not None and not isinstance(left, ast.Constant) and not isinstance(right, ast.Constant):
                where = _OPERATOR.match(text, end(left))
                edits.append((where.start(1), 1, len(where[1]), b","))
                call(node, name)
        elif isinstance(node, ast.AugAssign) and type(node.op).__name__ in names:
            if isinstance(node.target, (ast.Name, ast.Attribute)) and not isinstance(
                node.value, (ast.Constant, ast.Tuple)
            ):
                target = text[start(node.target) : end(node.target)]
                call(node.value, "beside", target + b", ")

    parts, at = [], 0
    for where, _, removed, inserted in sorted(edits, key=lambda edit: edit[:2]):
        parts += [text[at:where], inserted]
        at = where + removed
    return b"".join([*parts, text[at:]]).decode()


def _binary(node):
    """(left, operator, right) of an expression with two operands."""
    if isinstance(node, ast.BinOp):
        return node.left, node.op, node.right
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return node.left, node.ops[0], node.comparators[0]
    return None
