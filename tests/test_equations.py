"""Every equation of Golts & Schechner 2021 stands where a reader looks for it: at a line that says so.

A comment "Eq. n" ends the line of code that is the equation. Docstrings may name equations as often as they like.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

import compress3d

PACKAGE = Path(compress3d.__file__).parent
LSTM = {"layers/recurrent.py:lstm_update", "layers/convlstm3d.py:ConvLSTM3D.step"}
EXPECTED = {
    1: {"layers/recurrent.py:unroll"},
    2: {"layers/recurrent.py:RNNCell.forward"},
    3: LSTM,  # forget gate
    4: LSTM,  # input gate
    5: {"layers/recurrent.py:lstm_update"},  # output gate, which the 3D LSTM has not
    6: LSTM,  # candidate
    7: LSTM,  # cell state
    8: LSTM,  # hidden state
    9: {"layers/recurrent.py:lstm_update"},
    10: {"joint/compression.py:CompressionRNN._iterate"},
    11: {"joint/compression.py:CompressionRNN._iterate"},
    12: {"joint/rates.py:recurrent_iterations"},
    13: {"layers/binarizer.py:_StraightThrough.forward"},
    14: {"losses.py:compression_loss"},
    15: {"losses.py:occupancy_loss"},
    16: {"losses.py:joint_loss"},
    17: {"metrics.py:counts"},
}


def function_at(tree: ast.Module, line: int) -> str:
    """`Class.method` or `function` around a line."""
    names, node = [], tree
    while True:
        inside = [
            n
            for n in ast.iter_child_nodes(node)
            if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.lineno <= line <= n.end_lineno
        ]
        if not inside:
            return ".".join(names)
        node = inside[0]
        names.append(node.name)


def equation_lines() -> list[tuple[int, str, str]]:
    """Number, place, and the code before the comment, for every comment of the package that names an equation."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text()
        tree = ast.parse(text)
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                place = f"{path.relative_to(PACKAGE)}:{function_at(tree, token.start[0])}"
                code = token.line[: token.start[1]].strip()
                found += [(int(n), place, code) for n in re.findall(r"Eq\. (\d+)", token.string)]
    return found


LINES = equation_lines()


@pytest.mark.parametrize("number", range(1, 18))
def test_equation_stands_in_its_function_and_nowhere_else(number):
    assert {place for n, place, _ in LINES if n == number} == EXPECTED[number]


@pytest.mark.parametrize("number, place, code", LINES)
def test_comment_ends_a_line_of_code(number, place, code):
    assert number in EXPECTED and ("=" in code or code.startswith("return")), place
