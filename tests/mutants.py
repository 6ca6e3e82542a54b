"""Breaks Python code on purpose, one function at a time: what tests do not notice, they do not test."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

COMMITS = {"commit", "flush", "execute"}
"""Calls without which what was written is not kept."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Node = TypeVar("Node", bound=ast.expr)


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
    """Every mutant of a module, in the order of its functions. Special methods and `...` are left out."""
    for path, _ in _functions(ast.parse(source)):
        for change, mutate in CHANGES.items():
            tree = ast.parse(source)
            function = dict(_functions(tree))[path]
            before = ast.dump(tree)
            mutate(function)
            if ast.dump(tree) != before:
                yield Mutant(path, change, ast.unparse(ast.fix_missing_locations(tree)))


def _functions(tree: ast.Module) -> list[tuple[str, Function]]:
    found = []
    for node in tree.body:
        owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for each in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(each, Function) and not each.name.startswith("__"):
                found.append((f"{owner}{each.name}", each))
    return found


def _return_nothing(function: Function) -> None:
    if _yields(function):
        _replace(function, ast.Yield, lambda node: ast.Yield(node.value and ast.Constant(None)))
    else:
        function.body = [ast.Return(ast.Constant(None))]


def _swallow_errors(function: Function) -> None:
    if any(isinstance(node, ast.Raise) for node in ast.walk(function)):
        handler = ast.ExceptHandler(ast.Name("Exception"), None, [ast.Return(ast.Constant(None))])
        function.body = [ast.Try(function.body, [handler], [], [])]


def _drop_commits(function: Function) -> None:
    def drop(node: ast.Call) -> ast.expr:
        if isinstance(node.func, ast.Attribute) and node.func.attr in COMMITS:
            return ast.Constant(None)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "begin":
            # A session that nobody commits.
            return ast.Call(node.func.value, [], [])
        return node

    _replace(function, ast.Call, drop)


CHANGES: dict[str, Callable[[Function], None]] = {
    "return nothing": _return_nothing,
    "swallow errors": _swallow_errors,
    "drop the commit": _drop_commits,
}


def _yields(function: Function) -> bool:
    return any(isinstance(node, ast.Yield) for node in ast.walk(function))


def _replace(tree: ast.AST, kind: type[Node], change: Callable[[Node], ast.expr]) -> None:
    class Replacer(ast.NodeTransformer):
        def generic_visit(self, node: ast.AST) -> ast.AST:
            super().generic_visit(node)
            return change(node) if isinstance(node, kind) else node

    Replacer().visit(tree)
