import math

import pytest

from easyconv import names
from easyconv.callbacks import EarlyStopping
from easyconv.errors import EmptyDataError, LengthError, MissingExtraError
from easyconv.visualize import plot_curves


def lines(panel):
    return {line.get_label(): line for line in panel.get_lines()}


def headings(figure):
    return [panel.get_title(loc="left") for panel in figure.axes]


def rows(count):
    return [{"loss": 2.0 - e / 10, "accuracy": e / 10, "val_loss": (e - 3) ** 2 + 1.0, "lr": 1.0} for e in range(count)]


def test_lines_hold_the_numbers():
    figure = plot_curves(rows(6), [1, 2, 3, 4, 5, 6])
    panel = figure.axes[0]
    assert list(lines(panel)["training"].get_ydata()) == [2.0 - e / 10 for e in range(6)]
    assert list(lines(panel)["validation"].get_xdata()) == [1, 2, 3, 4, 5, 6]
    assert panel.get_title(loc="right") == "best 1 in epoch 4"
    assert figure.axes[1].get_title(loc="right") == "best 0.5 in epoch 6"


def test_one_colour_per_kind_across_panels():
    figure = plot_curves([{"loss": 1.0, "val_loss": 2.0, "auc": 0.5, "val_auc": 0.4}], [1])
    for label in ("training", "validation"):
        assert len({lines(panel)[label].get_color() for panel in figure.axes}) == 1
    assert headings(figure) == ["Loss", "AUC"]
    assert len(figure.legends) == 1


def test_learning_rate_only_if_it_changed():
    constant = [{"loss": 1.0, "learning_rate": 0.1}] * 3
    assert headings(plot_curves(constant, [1, 2, 3])) == ["Loss"]
    falling = [{"loss": 1.0, "learning_rate": 0.1**e} for e in range(3)]
    figure = plot_curves(falling, [1, 2, 3])
    assert headings(figure) == ["Loss", "Learning rate"]
    assert figure.axes[1].get_yscale() == "log"
    assert figure.axes[1].get_title(loc="right") == ""


def test_gaps_are_bridged_and_nan_is_marked():
    some = [{"loss": 1.0} | ({"val_loss": float(e)} if e % 5 == 0 else {}) for e in range(1, 21)]
    some[3]["loss"] = math.nan
    panel = plot_curves(some, list(range(1, 21))).axes[0]
    assert list(lines(panel)["validation"].get_xdata()) == [5, 10, 15, 20]
    assert len(lines(panel)["training"].get_xdata()) == 19
    assert list(lines(panel)["not finite"].get_xdata()) == [4]


@pytest.mark.parametrize("count", [1, 2, 7, 400])
def test_ticks_are_whole_epochs(count):
    figure = plot_curves(rows(count), list(range(1, count + 1)))
    figure.canvas.draw()
    for panel in figure.axes:
        assert all(float(tick).is_integer() for tick in panel.get_xticks())


def test_all_nan_still_draws(tmp_path):
    figure = plot_curves([{"loss": math.nan, "val_loss": math.inf}], [1], path=tmp_path / "a.png")
    assert lines(figure.axes[0])["not finite"].get_xdata()[0] == 1
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_unknown_names_get_no_best():
    assert plot_curves([{"oddity": 1.0}, {"oddity": 2.0}], [1, 2]).axes[0].get_title(loc="right") == ""


@pytest.mark.parametrize(("name", "best"), [("auroc", 2), ("jaccard", 2), ("top5_error", 1), ("logloss", 1)])
def test_the_best_is_where_callbacks_see_it(name, best):
    assert plot_curves([{name: 0.25}, {name: 0.75}], [1, 2]).axes[0].get_title(loc="right").endswith(f"epoch {best}")
    assert EarlyStopping(f"val_{name}").larger_is_better == (best == 2)


def test_far_losses_get_a_log_scale():
    assert plot_curves([{"loss": 10.0**-e} for e in range(5)], list(range(5))).axes[0].get_yscale() == "log"


def test_nothing_stays_open_and_notebooks_can_show_it():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_fignums()
    figure = plot_curves(rows(3), [1, 2, 3])
    assert pyplot.get_fignums() == before
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_refusals(monkeypatch):
    with pytest.raises(EmptyDataError, match="nothing to draw in 0 rows"):
        plot_curves([], [])
    with pytest.raises(LengthError, match="got 1 rows and 2 epochs"):
        plot_curves([{"loss": 1.0}], [1, 2])

    def missing(module):
        raise ImportError(module)

    monkeypatch.setattr(names.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"needs matplotlib.*easyconv\[viz\]"):
        plot_curves([{"loss": 1.0}], [1])
