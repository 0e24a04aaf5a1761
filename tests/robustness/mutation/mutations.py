"""Mutants of a module: each differs from it by one small change in the syntax tree."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

_PAIRS = (
    *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot)),
    *((ast.In, ast.NotIn), (ast.And, ast.Or), (ast.Add, ast.Sub), (ast.Mult, ast.FloorDiv)),
    *((ast.LShift, ast.RShift), (ast.BitOr, ast.BitAnd), (ast.USub, ast.UAdd)),
    (ast.Break, ast.Continue),
)
_OTHER = {**dict(_PAIRS), **{second: first for first, second in _PAIRS}}
_CONDITIONS = {"test", "ifs", "guard"}
_TYPES = {"annotation", "returns"}
_NAMED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Mutant(NamedTuple):
    """A changed module.

    ``scope`` is the path of the changed function or class. ``name`` identifies the mutant and
    stays the same when lines move.
    """

    scope: tuple[str, ...]
    name: str
    code: CodeType | None  # None if it was not asked for
    is_call: bool  # the change is in a function's body, and takes effect when it is called


def mutants(source: str, filename: str, *, with_code: bool = True) -> Iterator[Mutant]:  # noqa: C901
    """Yield all mutants of a module.

    Types, docstrings and code that only a type checker sees are not changed. ``with_code=False``
    omits the compiled code, which takes most of the time.
    """
    tree = ast.parse(source)
    lines = source.splitlines()
    seen: Counter[str] = Counter()

    def compiled(new: ast.AST | None, replaced: ast.AST) -> CodeType:
        if new is not None:  # it gets the position of the node that it replaces
            if hasattr(replaced, "lineno"):
                ast.copy_location(new, replaced)
            ast.fix_missing_locations(new)
        return compile(tree, filename, "exec")

    def visit(node: ast.AST, line: int, scope: tuple[str, ...], is_call: bool) -> Iterator[Mutant]:
        if isinstance(node, ast.stmt | ast.ExceptHandler):
            line = node.lineno
        for field, value in ast.iter_fields(node):
            if field in _TYPES or (isinstance(node, ast.If) and "TYPE_CHECKING" in lines[line - 1]):
                continue
            inner, called = scope, is_call
            if isinstance(node, _NAMED) and field == "body":
                inner = (*scope, node.name)
                called = called or not isinstance(node, ast.ClassDef)
            children = value if isinstance(value, list) else [value]
            for at, child in enumerate(list(children)):
                if not isinstance(child, ast.AST) or _is_inert(node, field, child, at):
                    continue
                shown = node if isinstance(child, ast.cmpop | ast.operator | ast.boolop) else child
                before = _text(shown)
                own = child.lineno if isinstance(child, ast.stmt | ast.ExceptHandler) else line
                for new in _changes(node, field, child, called):
                    children[at : at + 1] = [] if new is None else [new]
                    if children is not value:
                        setattr(node, field, new)
                    after = _text(node if shown is node else new)
                    name = f"{'.'.join(inner)} | {lines[own - 1].strip()} | {before} => {after}"
                    seen[name] += 1
                    if seen[name] > 1:
                        name += f" #{seen[name]}"
                    code = compiled(new, child) if with_code else None
                    yield Mutant(inner, name, code, called)
                    children[at : at + (new is not None)] = [child]
                    setattr(node, field, value)
                yield from visit(child, line, inner, called)

    return visit(tree, 1, (), is_call=False)


def _text(node: ast.AST | None) -> str:
    text = " ".join(ast.unparse(node).split()) if node else "nothing"
    return text if len(text) <= 70 else text[:69] + "…"


def _is_inert(node: ast.AST, field: str, child: ast.AST, at: int) -> bool:
    """Return True for a docstring, the type in a cast, or the name of a type variable."""
    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
        return True
    for_types = isinstance(node, ast.Call) and _text(node.func) in {"cast", "TypeVar", "ParamSpec"}
    return for_types and field == "args" and at == 0


def _changes(  # noqa: C901, PLR0912
    node: ast.AST, field: str, child: ast.AST, called: bool
) -> Iterator[ast.AST | None]:
    """Yield the replacements for a child node; ``None`` removes it."""
    if type(child) in _OTHER:
        yield _OTHER[type(child)]()
    match child:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield ast.Constant(value + 1)
        case ast.Constant(value=str() as value):
            yield ast.Constant(f"XX{value}")
        case ast.Constant(value=bytes() as value):
            yield ast.Constant(b"XX" + value)
        case ast.Constant(value=None) if field not in {"cause", "comparators"}:
            yield ast.Constant("")
        case (
            ast.Expr(value=ast.Call() | ast.Await()) | ast.AugAssign() | ast.Raise() | ast.Delete()
        ):
            yield ast.Pass()
        case ast.Assign() if called:
            yield ast.Pass()
        case ast.Return(value=ast.expr() as value) if _text(value) != "None":
            yield ast.Return(ast.Constant(None))
        case ast.keyword(arg=str()):
            yield None
        case ast.ExceptHandler(type=ast.expr()):  # becomes a handler that catches nothing
            yield ast.ExceptHandler(ast.Tuple([], ast.Load()), child.name, child.body)
        case ast.match_case(guard=None):
            yield ast.match_case(child.pattern, ast.Constant(False), child.body)
    if isinstance(node, ast.Raise) and field == "cause":
        yield None
    if field in _CONDITIONS and not isinstance(
        child, ast.UnaryOp | ast.Compare | ast.BoolOp | ast.Constant
    ):
        yield ast.UnaryOp(ast.Not(), child)
