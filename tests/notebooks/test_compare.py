"""The tolerance of a notebook's comparison: a rounding passes; another object, image, number or word does not."""

import ast
import base64
import copy
import itertools
import json
import re

import numpy as np
import pytest

from compress3d import paths
from compress3d.figures.viewer import image_url, run_lengths
from tests.notebooks import compare
from tests.run_lengths import from_run_lengths
from tools import notebooks

PAGE = paths.book() / "results/table2.ipynb"


@pytest.fixture(scope="module")
def html():
    (cell,) = (cell for cell in notebooks.read(PAGE).cells if compare.TAG in notebooks.tags(cell))
    return cell.outputs[0].data["text/html"]


@pytest.fixture
def payload(html):
    return json.loads(compare.PAYLOAD.search(html)[1])


def changed(html, payload):
    head, _, tail = compare.PAYLOAD.split(html)
    return f'{head}<script type="application/json">{json.dumps(payload)}</script>{tail}'


def test_the_same_output_agrees(html):
    assert compare.difference(html, html) is None


def test_a_voxel_on_the_other_side_of_the_threshold_agrees(html, payload):
    for thing in payload["objects"]:
        for n, text in enumerate(thing["grids"]):
            grid = from_run_lengths(base64.b64decode(text), payload["side"])
            grid[tuple(np.argwhere(grid)[0])] = False
            thing["grids"][n] = base64.b64encode(run_lengths(grid)).decode()
    other = changed(html.replace('id="fig-', 'id="fig-0'), payload)
    assert other != html and compare.difference(html, other) is None


def test_no_two_objects_of_the_page_agree(html, payload):
    for a, b in itertools.permutations(range(len(payload["objects"])), 2):
        other = copy.deepcopy(payload)
        other["objects"][a]["grids"] = payload["objects"][b]["grids"]
        assert "voxels differ" in compare.difference(html, changed(html, other)), (a, b)
        other = copy.deepcopy(payload)
        other["objects"][a]["views"] = payload["objects"][b]["views"]
        assert "grey levels" in compare.difference(html, changed(html, other)), (a, b)


def test_no_two_networks_of_the_page_agree(html, payload):
    """On every object the uncompressed network's voxels are others than those of the truth and of the 480:1 network."""
    for n in range(len(payload["objects"])):
        grids = payload["objects"][n]["grids"]
        for a, b in itertools.combinations((0, 1, 6), 2):
            other = copy.deepcopy(payload)
            other["objects"][n]["grids"][a] = grids[b]
            assert "voxels differ" in compare.difference(html, changed(html, other)), (n, a, b)


def test_images_agree_within_a_rounding():
    image = np.random.default_rng(0).integers(10, 240, (16, 16, 3)).astype(np.uint8)
    brighter = image.copy()
    brighter[::4] += 1
    html = '<script type="application/json">{"views": ["%s"]}</script>'
    assert compare.difference(html % image_url(image), html % image_url(brighter)) is None
    assert "grey levels" in compare.difference(html % image_url(image), html % image_url(image + 2))


@pytest.mark.parametrize(
    "stored, fresh, same",
    [
        ("mIoU 0.449", "mIoU 0.450", True),
        ("mIoU 0.449", "mIoU 0.455", False),
        ("cosine -0.00", "cosine +0.01", True),
        ("norm 1.1e-05", "norm 1.2e-05", True),
        ("norm 1.1e-05", "norm 1.1e-04", False),
        ("14,897 voxels", "14,901 voxels", True),
        ("14,897 voxels", "15,897 voxels", False),
        ("80% of 74 objects", "81% of 74 objects", True),
        ("80% of 74 objects", "80% of 73 objects", False),
        ("better: yes", "better: no", False),
        ("1.0 2.0", "1.0", False),
    ],
)
def test_numbers_and_words(stored, fresh, same):
    assert (compare.difference(stored, fresh) is None) == same


def test_outputs_of_another_kind_are_seen(payload, html):
    class Cell:
        def sanitize(self, text):
            return text

    table = [{"output_type": "execute_result", "data": {"text/html": "<b>0.449</b>", "text/plain": "0.449"}}]
    printed = [{"output_type": "stream", "name": "stdout", "text": "0.449"}]
    cell = Cell()
    assert compare.compare_outputs(cell, table, table) and not compare.compare_outputs(cell, printed, table)
    assert "stdout" in cell.comparison_traceback[0]


def test_only_words_are_sanitized(html):
    """Expressions of sanitize.cfg hit base64 here and there: the arrays behind it would be lost."""

    class Cell:
        def sanitize(self, text):
            return re.sub("[0-9]", "", text)

    outputs = [{"output_type": "execute_result", "data": {"text/html": html}}]
    assert compare.compare_outputs(Cell(), outputs, outputs)


# --- which cells must be tagged ---------------------------------------------------------------------------------------

# Functions whose result a rounding can move: networks, training, lossy codecs.
COMPUTED = set("load_model reconstruct probabilities output loss received_images simulate encode_within".split())
COMPUTED |= {"init_convlstm_unit_variance"}
SIZES = {"code_size", "shape", "architecture", "numel", "len"}  # of a computed thing, but exact


class Flow:
    """Follows, statement by statement, which names hold what was computed, and whether some of it is shown."""

    def __init__(self):
        self.computed, self.shown = set(COMPUTED), False

    def uses(self, node, own: frozenset = frozenset()) -> bool:
        """Whether a computed name stands in `node`; `own` are names of its inner scopes, which mean something else."""
        match node:
            case ast.Attribute(attr=name) | ast.Call(func=ast.Name(id=name)) if name in SIZES:
                return False
            case ast.Attribute(attr=name) if name in COMPUTED:
                return True
            case ast.Name(id=name) if name in self.computed - own:
                return True
            case ast.Lambda() | ast.FunctionDef():
                own |= {argument.arg for argument in node.args.args}
        inner = node.body if isinstance(node, ast.FunctionDef) else getattr(node, "generators", [])
        own |= {
            getattr(n, "id", None)
            for part in inner
            for n in ast.walk(part)
            if isinstance(getattr(n, "ctx", None), ast.Store)
        }
        return any(self.uses(child, own) for child in ast.iter_child_nodes(node))

    def mark(self, target, computed: bool = True) -> None:
        names = {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}
        self.computed = self.computed | names if computed else self.computed - (names - COMPUTED)

    def follow(self, statements) -> None:
        for statement in statements:
            match statement:
                case ast.Import() | ast.ImportFrom() | ast.Assert():
                    pass
                case ast.FunctionDef() | ast.ClassDef():
                    self.computed |= {statement.name} if self.uses(statement) else set()
                case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                    for name, value in zip(names, values, strict=True):
                        self.follow([ast.Assign([name], value)])
                case ast.Assign(targets=[ast.Name() | ast.Tuple() as target]):
                    self.mark(target, self.uses(statement.value))
                case ast.Assign(targets=[target]) | ast.AugAssign(target=target):
                    if self.uses(statement.value):
                        self.mark(target)
                case ast.For():
                    self.mark(statement.target, self.uses(statement.iter))
                    self.follow([*statement.body, *statement.orelse])
                case ast.With() | ast.If() | ast.While() | ast.Try():
                    self.follow([*statement.body, *getattr(statement, "orelse", [])])
                case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name() as target, attr="append" | "extend"))):
                    if self.uses(statement):
                        self.mark(target)
                case _:
                    self.shown = self.shown or self.uses(statement)


def untagged(cells):
    """The code cells that show decimals computed from `COMPUTED` and are not tagged: (number, what they show)."""
    flow, found = Flow(), []
    for number, cell in enumerate(cells):
        flow.shown = False
        flow.follow(ast.parse(cell.source).body)
        text = re.sub(r"<[^>]*>", " ", "".join(compare.texts(cell.outputs).values()))
        decimals = [n for n in compare.NUMBER.findall(text) if set(n) & set(".%e")]
        if flow.shown and decimals and compare.TAG not in notebooks.tags(cell):
            found.append((number, decimals[:5]))
    return found


@pytest.mark.parametrize("path", notebooks.find(paths.book()), ids=lambda path: path.stem)
def test_what_a_network_computed_is_never_compared_as_text(path):
    cells = [cell for cell in notebooks.read(path).cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells):
        if compare.PAYLOAD.search("".join(compare.texts(cell.outputs).values())):
            assert compare.TAG in notebooks.tags(cell), f"code cell {number} stores a figure's arrays"
    assert untagged(cells) == [], f"tag these cells `{compare.TAG}`"


def test_an_untagged_cell_is_found():
    import nbformat

    def cell(source, text):
        output = nbformat.v4.new_output("stream", name="stdout", text=text)
        return nbformat.v4.new_code_cell(source, outputs=[output])

    first = cell("p = evaluate.probabilities(model, images)\nq = p.mean()", "")
    assert untagged([first, cell("print(f'{q:.3f}')", "0.449")]) == [(1, ["0.449"])]
    assert untagged([first, cell("print(len(store))", "0.449")]) == []
    tagged = cell("print(q)", "0.449")
    tagged.metadata["tags"] = [compare.TAG]
    assert untagged([first, tagged]) == []
