"""The comparisons behind the recipe: one change at a time, and never scored on the objects of the figures."""

from compress3d.r2n2.studies import recipe


def settings(experiment):
    """Every setting of an experiment, by its name."""
    described = experiment.describe()
    parts = [described.pop(name) for name in ("model", "data", "optim")]
    return {**described, **parts[0], **parts[1], **parts[2]}


def test_each_variant_changes_one_setting_and_its_tag():
    table = recipe.variants("demo")
    base = settings(table["recipe", "as trained"])
    for key, run in table.items():
        changed = {name for name, value in settings(run).items() if value != base[name]} - {"tag", "id"}
        assert len(changed) == (0 if key[0] == "recipe" else 1), key
    assert len({run.id for run in table.values()}) == len(table)


def test_validation_leaves_the_shipped_objects_alone(boxes, monkeypatch):
    class Shipped:
        objects = [boxes.objects[row] for row in boxes.select(split="test")[:2]]

    monkeypatch.setattr(recipe, "open_test_set", Shipped)
    rows = recipe.validation(boxes)
    assert len(rows) == len(boxes.select(split="test")) - 2
    assert not {boxes.objects[row].uid for row in rows} & {record.uid for record in Shipped.objects}
    assert all(boxes.objects[row].split == "test" for row in rows)
