"""Files and functions stay small enough to be read at once."""

import ast
from collections.abc import Iterator
from pathlib import Path

import attentad

SOURCE = Path(attentad.__file__).parent
FILE_LINES, BODY_LINES = 400, 60


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the statements, the docstring left out."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_no_file_is_long() -> None:
    lines = {file: len(file.read_text().splitlines()) for file in SOURCE.rglob("*.py")}
    assert not {str(file): count for file, count in lines.items() if count > FILE_LINES}


def test_no_function_is_long() -> None:
    long = [
        f"{file}: {function.name}, {body_lines(function)} lines"
        for file in sorted(SOURCE.rglob("*.py"))
        for function in functions(ast.parse(file.read_text()))
        if body_lines(function) > BODY_LINES
    ]
    assert not long
