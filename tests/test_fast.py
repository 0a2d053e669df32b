"""What ``make fast`` leaves out."""

import ast
from pathlib import Path

from tests.conftest import WHOLE


def test_what_marks_a_module_is_imported_somewhere() -> None:
    """A name that was changed would let trainings into the fast tests."""
    imported = {
        alias.asname or alias.name
        for path in Path(__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert imported >= WHOLE
