"""What the oldest supported Python does not compile, and newer ones do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import raic

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _nested(tree: ast.AST) -> Iterator[ast.expr]:
    """Comprehensions that await something and are part of another one."""
    for outer in ast.walk(tree):
        if isinstance(outer, _COMPREHENSIONS):
            for inner in ast.walk(outer):
                if inner is not outer and isinstance(inner, _COMPREHENSIONS) and _awaits(inner):
                    yield inner


def _awaits(tree: ast.AST) -> bool:
    return any(isinstance(each, ast.Await) for each in ast.walk(tree))


class Python310(SynchronousTestCase):
    def test_no_comprehension_that_awaits_is_within_another(self) -> None:
        folder = Path(raic.__file__).parent
        for path in sorted(folder.rglob("*.py")):
            text = path.read_text("utf-8")
            if "await" in text:
                found = [each.lineno for each in _nested(ast.parse(text))]
                self.assertEqual(found, [], path)

    def test_one_would_be_found(self) -> None:
        text = "async def f():\n    return [\n        [await g(x) for x in y] for y in z]\n"
        self.assertEqual([each.lineno for each in _nested(ast.parse(text))], [3])
