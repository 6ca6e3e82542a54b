"""Breaks Python code on purpose, in one place at a time: what tests do not notice, they do not test."""

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

COMMITS = {"commit", "flush", "execute"}
"""Calls without which what was written is not kept."""
EDGES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
OPPOSITES = EDGES | {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Change = tuple[str, Callable[[], None]]
"""What a change is called, and what makes it."""


@dataclass(frozen=True)
class Mutant:
    """One change of a module: where, what, and the whole source after it."""

    function: str
    change: str
    source: str

    @property
    def name(self) -> str:
        return f"{self.function}: {self.change}"


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its functions.

    Left out are special methods, what is only logged, and `main`, which runs in a process of its own.
    """
    tree = ast.parse(source)
    for path, function in _functions(tree):
        names: Counter[str] = Counter()
        for number, (change, _) in enumerate(_changes(function)):
            broken = copy.deepcopy(tree)
            _, apply = list(_changes(dict(_functions(broken))[path]))[number]
            apply()
            text = ast.unparse(ast.fix_missing_locations(broken))
            names[change] += 1
            again = f" ({names[change]})" if names[change] > 1 else ""
            if text != ast.unparse(tree):
                yield Mutant(path, change + again, text)


def _functions(tree: ast.Module) -> list[tuple[str, Function]]:
    found = []
    for node in tree.body:
        owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for each in node.body if isinstance(node, ast.ClassDef) else [node]:
            if (
                isinstance(each, Function)
                and not each.name.startswith("__")
                and each.name != "main"
            ):
                found.append((f"{owner}{each.name}", each))
    return found


def _changes(function: Function) -> Iterator[Change]:
    nodes = list(ast.walk(function))
    yield "return nothing", lambda: _return_nothing(function)
    if any(isinstance(node, ast.Raise) for node in nodes):
        yield "swallow errors", lambda: _swallow_errors(function)
    yield "drop the commit", lambda: _drop_commits(function)
    # To turn one of these round is the same as its opposite operator.
    tested = {node.test for node in nodes if isinstance(node, ast.If | ast.IfExp)}
    for node in nodes:
        yield from _local_changes(node, node in tested)


def _local_changes(node: ast.AST, tested: bool) -> Iterator[Change]:
    """The changes of one node, which are made in it."""
    match node:
        case ast.BoolOp(values=values) if len(values) > 1:
            for value in values:
                yield f"drop {_text(value)} of a condition", _remove(values, value)
        case ast.If(test=test) | ast.IfExp(test=test):
            yield f"turn {_text(test)} round", lambda: _negate(node)
        case ast.Compare(ops=[operator]) if type(operator) in (EDGES if tested else OPPOSITES):
            opposite = OPPOSITES[type(operator)]
            yield f"other operator in {_text(node)}", _set(node, "ops", [opposite()])
        case ast.Call(func=ast.Attribute(attr="get_for_update")):
            yield f"no lock in {_text(node)}", _set(node.func, "attr", "get")
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg:
                yield f"drop {_text(keyword)} of a call", _remove(node.keywords, keyword)
    for body in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
        for statement in body if isinstance(body, list) else []:
            if _may_go(statement):
                yield f"drop {_text(statement)}", _replace(body, statement, ast.Pass())


def _may_go(statement: ast.AST) -> bool:
    match statement:
        case ast.Expr(value=ast.Constant()) | ast.Expr(value=ast.Yield()):
            return False
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name("log")))):
            return False
        case ast.Expr() | ast.Raise() | ast.AugAssign() | ast.Continue():
            return True
        case ast.Assign(
            targets=[ast.Attribute() | ast.Subscript() | ast.Tuple(elts=[ast.Attribute(), *_])]
        ):
            return True
    return False


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) < 60 else f"{text[:57]}..."


def _remove(items: list[Any], item: Any) -> Callable[[], None]:
    return lambda: items.remove(item)


def _replace(items: Any, item: Any, new: Any) -> Callable[[], None]:
    return lambda: items.__setitem__(items.index(item), new)


def _set(node: ast.AST, name: str, value: Any) -> Callable[[], None]:
    return lambda: setattr(node, name, value)


def _negate(node: Any) -> None:
    node.test = ast.UnaryOp(ast.Not(), node.test)


def _return_nothing(function: Function) -> None:
    if any(isinstance(node, ast.Yield) for node in ast.walk(function)):
        for node in ast.walk(function):
            if isinstance(node, ast.Yield) and node.value:
                node.value = ast.Constant(None)
    else:
        function.body = [ast.Return(ast.Constant(None))]


def _swallow_errors(function: Function) -> None:
    handler = ast.ExceptHandler(ast.Name("Exception"), None, [ast.Return(ast.Constant(None))])
    function.body = [ast.Try(function.body, [handler], [], [])]


def _drop_commits(function: Function) -> None:
    class Dropper(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            self.generic_visit(node)
            match node.func:
                case ast.Attribute(attr=name) if name in COMMITS:
                    return ast.Constant(None)
                case ast.Attribute(value=ast.Attribute(attr="_sessions") as sessions, attr="begin"):
                    # A session that nobody commits.
                    return ast.Call(sessions, [], [])
            return node

    Dropper().visit(function)
