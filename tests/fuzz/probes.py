"""Probes in the code under test: which of its branches an input takes, and in which order.

A module whose name begins with one of the prefixes is compiled with a call of ``list.append`` at the head of every
branch inside its functions: bodies and ends of ``if``, loops, ``try``, ``with`` and ``match``, the right sides of
``and`` and ``or``, both sides of ``a if b else c``, and the elements of comprehensions. Line numbers stay what they
are. Two probes that follow each other are an edge. That is several times as fast as ``sys.settrace``, so that every
case can be guided by it, and works on every Python.

`install` must come before the first import of the modules.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

__all__ = ["Probes", "install"]

_NAME = "_fuzz_probe_"


class Probes:
    """The trace of what ran, and where each probe stands.

    Attributes:
        trace: numbers of the probes that were passed, in their order; clear it before each case.
        places: (file, line) of each probe.
    """

    def __init__(self) -> None:
        self.trace: list[int] = []
        self.places: list[tuple[str, int]] = []

    def edges(self) -> set[tuple[int, int]]:
        """The edges of the trace."""
        return set(zip(self.trace, self.trace[1:], strict=False))


def install(prefixes: Sequence[str]) -> Probes:
    """Have all modules of ``prefixes`` compiled with probes.

    Raises:
        RuntimeError: one of them is imported already.
    """
    early = [name for name in sys.modules if name.startswith(tuple(prefixes))]
    if early:
        raise RuntimeError(f"{', '.join(early)} imported before the probes")
    probes = Probes()
    setattr(builtins, _NAME, probes.trace.append)
    sys.meta_path.insert(0, _Finder(probes, tuple(prefixes)))
    return probes


class _Finder(MetaPathFinder):
    def __init__(self, probes: Probes, prefixes: tuple[str, ...]) -> None:
        self._probes = probes
        self._prefixes = prefixes

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(self._prefixes):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(self._probes, spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, probes: Probes, name: str, path: str) -> None:
        super().__init__(name, path)
        self._probes = probes

    def get_code(self, fullname: str) -> CodeType:
        # Not the inherited way, which would write what we compile where ordinary runs look for it.
        return self.source_to_code(self.get_data(self.path), self.path)

    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> CodeType:  # type: ignore[override]
        tree = _Planter(self._probes, str(path)).visit(ast.parse(data, path))
        code: CodeType = compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True, optimize=_optimize)
        return code


class _Planter(ast.NodeTransformer):
    """Puts probes into a module's functions."""

    def __init__(self, probes: Probes, path: str) -> None:
        self._places = probes.places
        self._path = path
        self._inside = False

    def _call(self, line: int) -> ast.Call:
        self._places.append((self._path, line))
        name, number = ast.Name(_NAME, ast.Load()), ast.Constant(len(self._places) - 1)
        call = ast.Call(name, [number], [])
        for node in (name, number, call):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0
        return call

    def _statement(self, line: int) -> ast.stmt:
        return ast.copy_location(ast.Expr(call := self._call(line)), call)

    def _before(self, value: ast.expr) -> ast.expr:
        """``probe or value``: append returns None."""
        return ast.copy_location(ast.BoolOp(ast.Or(), [self._call(value.lineno), value]), value)

    def _function(self, node: ast.AST) -> ast.AST:
        before, self._inside = self._inside, True
        self.generic_visit(node)
        self._inside = before
        return node

    visit_FunctionDef = _function  # noqa: N815 - ast's name
    visit_AsyncFunctionDef = _function  # noqa: N815 - ast's name
    visit_Lambda = _function  # noqa: N815 - ast's name

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if self._inside:
            for name in ("body", "orelse", "finalbody"):
                block = getattr(node, name, None)
                if isinstance(block, list) and block and not isinstance(node, ast.ClassDef):
                    setattr(node, name, self._block(block))
            if isinstance(node, ast.If) and not node.orelse:
                node.orelse = [self._statement(node.lineno)]
        return node

    def _block(self, block: list[ast.stmt]) -> list[ast.stmt]:
        out = [self._statement(block[0].lineno)]
        first = block[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            # A docstring is one only where it comes first.
            out, block = [first, *out], block[1:]
        compound = (ast.If, ast.For, ast.While, ast.Try, ast.With, ast.Match)
        for statement in block:
            out.append(statement)
            if isinstance(statement, compound):
                out.append(self._statement(statement.end_lineno or statement.lineno))
        return out

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        super().generic_visit(node)
        if self._inside:
            node.values[1:] = map(self._before, node.values[1:])
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        super().generic_visit(node)
        if self._inside:
            node.body, node.orelse = self._before(node.body), self._before(node.orelse)
        return node

    def _comprehension(self, node: Any) -> ast.AST:
        super().generic_visit(node)
        if self._inside:
            name = "value" if isinstance(node, ast.DictComp) else "elt"
            setattr(node, name, self._before(getattr(node, name)))
        return node

    visit_ListComp = _comprehension  # noqa: N815 - ast's name
    visit_SetComp = _comprehension  # noqa: N815 - ast's name
    visit_GeneratorExp = _comprehension  # noqa: N815 - ast's name
    visit_DictComp = _comprehension  # noqa: N815 - ast's name
