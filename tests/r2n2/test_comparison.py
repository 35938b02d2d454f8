"""The networks beside 3D-LSTM-3: hand-worked rows, and runs that are missing."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from compress3d.engine.experiment import get_experiment
from compress3d.errors import DataError
from compress3d.figures.tables import MISSING, paper
from compress3d.r2n2 import comparison

IDS = comparison.run_ids("demo")


def summary(iou, views=5):
    return {"views": views, "iou": iou, "miou": float(np.mean(iou)), "loss": 0.2, "by_category": {"chair": iou[0]}}


@pytest.fixture
def study():
    """Two of the networks, two objects, 1 and 5 views."""
    return {
        "networks": {
            IDS[name]: {
                "counts": [summary([v, v + 0.2], 1), summary([v + 0.1, v + 0.3], 5)],
                "order": {"miou": [v, v + 0.01], "spread": 0.005, "largest": 0.02},
                "appearances": {
                    d: summary([v + s] * 12) for d, s in {"plain": 0, "coloured": 0.1, "textured": 0.2}.items()
                },
            }
            for name, v in (("3D-LSTM-3", 0.3), ("Res3D-GRU-3", 0.4))
        },
        "test": {"categories": ["chair", "bike"], "objects": 2, "views": 5},
    }


def test_runs_were_trained_alike():
    assert list(IDS) == list(comparison.RELATED_NETWORKS)
    found = [get_experiment(run_id) for run_id in IDS.values()]
    assert {(run.optim, run.seed, run.data) for run in found} == {(found[0].optim, 0, found[0].data)}
    assert found[0].optim.steps == 1200
    assert len(comparison.run_ids("paper")) == 6 and comparison.run_ids("smoke") == {}


def test_parameters_are_counted():
    rows = {row[0]: row for row in comparison.architectures("smoke").rows}
    wide = comparison.architectures("paper").rows
    assert list(rows) == list(IDS) and rows["Pix2Vox-F"][2] == MISSING
    units = {row[0]: float(row[-1]) for row in wide if row[-1] != MISSING}
    assert units["3D-GRU-3"] == round((27 * 3 * 128 * 128 + 3 * 128) / 1e6, 2)
    assert units["3D-LSTM-1"] == round((3 * 128 * 128 + 3 * 128) / 1e6, 2)


def test_sides_of_the_encoder_agree_with_the_networks():
    assert comparison.sides(127) == [127, 64, 33, 17, 9, 5, 3]
    assert comparison.sides(128, padded=False) == [128, 64, 32, 16, 8, 4, 2]


def test_differences_and_verdicts_by_hand():
    one = {"3D-GRU-3": [0.5, 0.6], "3D-LSTM-3": [0.4, 0.5], "3D-GRU-1": [0.7, 0.8], "Res3D-GRU-3": [0.4, 0.7]}
    iou = {name: np.array([values * 6]) for name, values in one.items()}  # 12 objects: an interval may decide
    rows = {row[1]: row for row in comparison.differences(iou).rows}
    assert rows["3D-GRU-3 − 3D-LSTM-3"][2:] == ["+0.053", "+0.100", "reproduced", "+0.100 to +0.100", MISSING]
    assert rows["3D-GRU-3 − 3D-GRU-1"][4] == "contradicted"
    assert rows["Res3D-GRU-3 − 3D-GRU-3"][4] == "undecided"
    assert rows["Pix2Vox-F − Res3D-GRU-3"][3:] == [MISSING, "not run yet", MISSING, MISSING]
    with pytest.raises(DataError, match="different objects"):
        comparison.differences({"a": np.array([[0.1]]), "b": np.array([[0.1, 0.2]])})


@pytest.mark.parametrize(
    ("first", "ours", "each", "verdict"),
    [((0.6, 0.5), "+0.150", "+0.200, +0.100", "reproduced"), ((0.9, 0.3), "+0.200", "+0.500, -0.100", "undecided")],
)
def test_one_training_that_says_otherwise_leaves_a_difference_undecided(first, ours, each, verdict):
    iou = {"3D-GRU-3": np.array([[v] * 12 for v in first]), "3D-LSTM-3": np.full((2, 12), 0.4)}
    (row,) = (row for row in comparison.differences(iou).rows if row[1] == "3D-GRU-3 − 3D-LSTM-3")
    assert row[3:] == [ours, verdict, f"{ours} to {ours}", each]


def test_every_published_difference_is_positive():
    """So that "reproduced" may mean: our interval lies above 0."""
    for first, second, _ in comparison.COMPARISONS:
        assert comparison.published(first)["value"] > comparison.published(second)["value"]


def test_scores_keep_a_row_for_what_is_missing():
    found = {IDS["3D-GRU-3"]: {"points": [summary([0.4, 0.6])], "test": {"objects": ["a", "b"]}}}
    rows = {row[0]: row for row in comparison.scores("demo", found).rows}
    assert rows["3D-GRU-3"][1:6] == ["0.200", "0.500", MISSING, "0.091", "0.592"]
    assert rows["Pix2Vox-F"][1:5] == [MISSING] * 4
    assert {name: iou.tolist() for name, iou in comparison.iou_of_results("demo", found).items()} == {
        "3D-GRU-3": [[0.4, 0.6]]
    }


def test_further_seeds_are_further_trainings():
    ids = [IDS["3D-GRU-3"], IDS["3D-GRU-3"].replace("-s0", "-s2")]
    found = {
        i: {"points": [summary([v, v])], "test": {"objects": ["a", "b"]}} for i, v in zip(ids, (0.4, 0.6), strict=True)
    }
    assert comparison.iou_of_results("demo", found)["3D-GRU-3"].tolist() == [[0.4, 0.4], [0.6, 0.6]]
    (row,) = (row for row in comparison.scores("demo", found).rows if row[0] == "3D-GRU-3")
    assert row[2:4] == ["0.500", "0.400, 0.600"]


def test_what_more_views_change():
    one = {"3D-GRU-3": [0.5, 0.6], "3D-LSTM-3": [0.4, 0.5], "Res3D-GRU-3": [0.5, 0.6]}
    five = {"3D-GRU-3": [0.6, 0.7], "3D-LSTM-3": [0.4, 0.5]}
    rows = comparison.with_and_without_memory(one, five).rows
    assert rows[0][1:] == [f"+0.{n}00 (+0.{n}00 to +0.{n}00)" for n in (1, 2, 1)]
    assert all(row[1:] == [MISSING] * 3 for row in rows[1:])


def test_original_layers_wait_for_their_run():
    found = {IDS["3D-GRU-3"]: {"points": [summary([0.4, 0.6])]}}
    assert "compress3d train demo/gru-3-1200-original-s0" in comparison.original("demo", found).rows[1][-1]
    assert get_experiment("demo/gru-3-1200-original-s0").optim.steps == 1200
    found["demo/gru-3-1200-original-s0"] = {"points": [summary([0.5, 0.7])]}
    assert comparison.original("demo", found).rows[1][-1] == "+0.100 (+0.100 to +0.100)"


def test_study_tables(study):
    assert comparison.iou_at("demo", study, 1)["Res3D-GRU-3"] == pytest.approx([0.4, 0.6])
    gains = {row[0]: row[1:] for row in comparison.gain_table(study, "demo").rows}
    assert gains["3D-LSTM-3"] == ["+0.100 (+0.100 to +0.100)", MISSING, MISSING]
    orders = {row[0]: row[1:] for row in comparison.order_table(study, "demo").rows}
    assert orders["3D-LSTM-3"] == ["0.300", "0.310", "0.005", "0.020"] and orders["3D-GRU-1"] == [MISSING] * 4
    appearances = {row[0]: row[1:] for row in comparison.textures_table(study, "demo").rows}
    assert appearances["3D-LSTM-3"][-2:] == ["+0.200 (+0.200 to +0.200)", "texture helps"]


def test_classes_of_three_test_sets(study):
    rows = {row[0]: row[1:] for row in comparison.categories(study, "demo").rows}
    assert rows["chair"] == ["1", "0.300", "0.400", MISSING, "0.466", "0.535", "0.234", "0.280"]
    assert rows["bus"] == [MISSING] * 6 + ["0.501", "0.816"]
    assert rows["table"][-2:] == [MISSING, MISSING]
    assert rows["mean of all"] == ["2", "0.400", "0.500", MISSING, "0.569", "0.634", "0.318", "0.571"]


def test_quoted_row_mixes_two_averages():
    """FACTS C1: 1 to 4 views are means of class means, 5 views is the mean over objects."""
    table = {c: entry["value"] for c, entry in paper("xie2019.r2n2_by_category").items()}
    weights = {c: entry["value"] for c, entry in paper("xie2019.test_objects").items()}
    quoted = paper("literature_by_views.r2n2")["value"]
    for n in range(4):
        assert np.mean([v[n] for v in table.values()]) == pytest.approx(quoted[n], abs=0.002)
    over_objects = np.average([v[4] for v in table.values()], weights=[weights[c] for c in table])
    assert over_objects == pytest.approx(quoted[4], abs=0.001)
    assert paper("choy2016.variants.res3d_gru_3")["value"] == quoted[4]


def test_figures(study):
    figure = comparison.views_plot(study, "demo")
    ours, published = figure.axes
    assert [line.get_label() for line in ours.lines] == ["3D-LSTM-3", "Res3D-GRU-3"] and len(published.lines) == 2
    figure = comparison.appearance_grid({"plain": np.zeros((3, 8, 8, 3), np.uint8)})
    assert len(figure.axes) == 3
    plt.close("all")
