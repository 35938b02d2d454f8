"""Tables: status by rule, text aligned, HTML escaped, paper's numbers from their file."""

import pytest

from compress3d.errors import DataError
from compress3d.figures.tables import Quantity, Table, comparison, rates_table
from compress3d.paper import paper


@pytest.mark.parametrize(
    "printed, ours, status", [(0.66, 0.51, "other data"), (0.66, None, "not run"), (None, 0.5, "ours only")]
)
def test_status_by_rule(printed, ours, status):
    assert Quantity("x", printed, ours).status == status


def test_text_is_aligned_and_missing_is_a_dash():
    table = Table(["name", "value"], [["a", 0.12345], ["longer", None]], caption="demo", digits=2)
    assert str(table) == "demo\nname    value\na        0.12\nlonger      –"


def test_html_is_escaped_and_scrolls_in_its_own_box():
    text = Table(["a<b"], [["x & y"]]).html()
    assert "a&lt;b" in text and "x &amp; y" in text and 'class="table-box"' in text


def test_row_of_another_length():
    with pytest.raises(DataError, match="2 cells for 1 columns"):
        Table(["a"], [["x", "y"]])


def test_comparison_has_the_four_columns():
    table = comparison([Quantity("mIoU", 0.66, 0.5, "Table 1", digits=2)])
    assert table.columns[:5] == ["quantity", "paper", "ours", "difference", "status"]
    assert table.rows[0][:5] == ["mIoU", "0.66", "0.50", "-0.16", "other data"]


def test_papers_numbers_come_from_their_file(tmp_path):
    file = tmp_path / "paper.yml"
    file.write_text("golts2021:\n  table1:\n    miou: {value: 0.66, where: Table 1}\n")
    assert paper("golts2021.table1.miou", file)["value"] == 0.66
    with pytest.raises(DataError, match="no entry 'golts2021.table9'"):
        paper("golts2021.table9", file)
    with pytest.raises(DataError, match="does not exist"):
        paper("golts2021", tmp_path / "none.yml")


def test_rates_table_leaves_out_points_without_voxels():
    voxels = {"miou": 0.5, "miou_std": 0.2, "miou_category": 0.4, "miou_pooled6": 0.6, "thresholds": {"0.2": 0.3}}
    at = {"accounting": "bits", "rate": 48, "true_rate": 48.0, "bytes_per_view": 256.0}
    found = {
        "a": {"experiment": {"model": {"name": "direct"}}, "points": [{**at, **voxels}]},
        "b": {"experiment": {"model": {"name": "small"}}, "points": [{**at, "compression_loss": 0.1}]},
    }
    (row,) = rates_table(found).rows
    assert row == ["direct", "bits", "48", "48.0", "256", "0.500", "0.200", "0.400", "0.600", "0.300", "–", "–"]
