"""TensorBoard, Weights & Biases and MLflow: what they are told."""

import sys

import fakes
import pytest
import torch

import easyconv as ec
from easyconv.callbacks import LambdaCallback, MLflowLogger, TensorBoard, WandbLogger
from easyconv.errors import ArgumentError, ArgumentTypeError, EasyconvWarning, MissingExtraError

X, Y = torch.rand(12, 3, 6, 6), torch.arange(12) % 2


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _fakes(monkeypatch):
    fakes.install(monkeypatch)


def compiled():
    torch.manual_seed(0)
    layers = [ec.layers.Conv2D(4, 3), ec.layers.Flatten(), ec.layers.Dense(2)]
    model = ec.Sequential(layers, input_shape=(3, 6, 6), name="small")
    model.compile(ec.optim.SGD(lr=0.1, momentum=0.9))
    return model


def fit(*callbacks, model=None, **arguments):
    model = model or compiled()
    arguments = {"batch_size": 4, "epochs": 2, "verbose": 0, "validation_data": (X, Y), **arguments}
    return model, model.fit(X, Y, callbacks=list(callbacks), **arguments)


@pytest.mark.usefixtures("_fakes")
def test_curves_have_the_names_of_keras():
    _, history = fit(TensorBoard("logs"))
    expected = []
    for epoch, row in enumerate(history.rows):
        expected += [("logs/train", f"epoch_{name}", row[name], epoch) for name in ("loss", "learning_rate")]
        expected += [("logs/validation", "epoch_loss", row["val_loss"], epoch)]
    assert [told[1:] for told in fakes.TOLD] == expected


@pytest.mark.usefixtures("_fakes")
def test_running_means_by_batch():
    seen = []
    look = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    fit(look, TensorBoard("logs", update_freq=2, write_graph=False))
    told = [entry[2:] for entry in fakes.TOLD if entry[2].startswith("batch")]
    assert told == [("batch_loss", seen[step], step) for step in (1, 3, 5)]
    fakes.TOLD.clear()
    fit(TensorBoard("logs", update_freq="batch"))
    assert [entry[4] for entry in fakes.TOLD if entry[2] == "batch_loss"] == list(range(6))


@pytest.mark.usefixtures("_fakes")
def test_histograms_and_pictures():
    fit(TensorBoard("logs", histogram_freq=2, write_images=True, write_steps_per_second=True))
    kinds = [entry[0] for entry in fakes.TOLD]
    names = [entry[2] for entry in fakes.TOLD if entry[0] == "histogram"]
    assert names == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert [entry[2:] for entry in fakes.TOLD if entry[0] == "images"] == [
        ("filters", (4, 3, 3, 3), 0),
        ("filters", (4, 3, 3, 3), 1),
    ]
    assert kinds.count("scalar") == 8
    assert [entry[2] for entry in fakes.TOLD].count("epoch_steps_per_second") == 2


@pytest.mark.usefixtures("_fakes")
def test_evaluations_stand_by_the_steps_of_training():
    board = TensorBoard("logs")
    model, _ = fit(board)
    fakes.TOLD.clear()
    loss = model.evaluate(X, Y, verbose=0, callbacks=board)
    assert [("scalar", "logs/validation", "evaluation_loss_vs_iterations", loss, 6)] == fakes.TOLD
    assert board._writers == {}


@pytest.mark.usefixtures("_fakes")
def test_a_net_that_cannot_be_traced_is_told_of(monkeypatch):
    def fail(self, model, inputs):
        raise RuntimeError("no trace\nmuch more")

    monkeypatch.setattr(fakes.SummaryWriter, "add_graph", fail)
    with pytest.warns(
        EasyconvWarning, match=r"no graph of this net \(no trace\). Pass write_graph=False to leave it out"
    ):
        _, history = fit(TensorBoard("logs"))
    assert len(history) == 2


def test_real_files(tmp_path):
    """The real package, where it is installed: what is read back is what was trained."""
    pytest.importorskip("tensorboard")
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    _, history = fit(TensorBoard(tmp_path / "run", histogram_freq=1, write_images=True, update_freq="batch"))
    train = accumulator.EventAccumulator(str(tmp_path / "run" / "train"), {"histograms": 0}).Reload()
    checked = accumulator.EventAccumulator(str(tmp_path / "run" / "validation")).Reload()
    assert [event.value for event in train.Scalars("epoch_loss")] == pytest.approx(history.history["loss"])
    assert [event.step for event in train.Scalars("batch_loss")] == list(range(6))
    assert [event.value for event in checked.Scalars("epoch_loss")] == pytest.approx(history.history["val_loss"])
    assert len(train.Histograms("0.weight")) == 2
    assert train.Images("filters")[0].width > 0
    assert "Conv" in str(train.Graph())


@pytest.mark.parametrize(
    ("module", "callback", "extra"),
    [
        ("torch.utils.tensorboard", TensorBoard(), "tensorboard"),
        ("wandb", WandbLogger(), "wandb"),
        ("mlflow", MLflowLogger(), "mlflow"),
    ],
)
def test_a_package_that_is_not_there_is_named_before_the_first_step(monkeypatch, module, callback, extra):
    monkeypatch.setitem(sys.modules, module, None)
    model = compiled()
    with pytest.raises(MissingExtraError, match=rf'pip install "easyconv\[{extra}\]"'):
        fit(callback, model=model)
    assert len(model.history) == 0


@pytest.mark.usefixtures("_fakes")
def test_wandb_gets_a_row_per_epoch():
    wandb = sys.modules["wandb"]
    _, history = fit(WandbLogger("digits", name="first", mode="offline", config={"mine": 1}))
    asked = wandb.asked
    assert (asked["project"], asked["name"], asked["mode"], asked["id"]) == ("digits", "first", "offline", None)
    assert asked["config"] == {
        "net": "small",
        "parameters": 242,
        "epochs": 2,
        "steps": 3,
        "loss": "cross_entropy",
        "optimizer": "SGD(lr=0.1, momentum=0.9)",
        "mine": 1,
    }
    assert [("wandb", "fresh", {"epoch": epoch, **row}) for epoch, row in enumerate(history.rows)] == fakes.TOLD
    assert wandb.run is None


@pytest.mark.usefixtures("_fakes")
def test_a_run_of_the_programs_own_is_used_and_left_open():
    wandb = sys.modules["wandb"]
    wandb.init()
    mine = wandb.run
    fit(WandbLogger())
    assert wandb.run is mine
    assert mine.config["net"] == "small"
    mlflow = sys.modules["mlflow"]
    mlflow.start_run()
    fit(MLflowLogger("other"))
    assert mlflow.active is not None
    assert ("end_run",) not in mlflow.calls
    assert ("experiment", "other") not in mlflow.calls


@pytest.mark.usefixtures("_fakes")
@pytest.mark.parametrize("cls", [WandbLogger, MLflowLogger])
def test_a_training_that_goes_on_goes_on_with_its_run(cls):
    first = cls()
    model, _ = fit(first, epochs=1)
    assert first.state_dict() == {"run_id": "fresh"}

    class GoesOn(ec.callbacks.Callback):
        def on_train_begin(self, logs=None):
            second.load_state_dict({"run_id": "earlier"})

    second = cls()
    fit(second, GoesOn(), model=model, epochs=2, initial_epoch=1)
    assert second.run_id == "earlier"
    if cls is WandbLogger:
        assert (sys.modules["wandb"].asked["id"], sys.modules["wandb"].asked["resume"]) == ("earlier", "allow")
    else:
        assert ("start_run", "earlier", None) in sys.modules["mlflow"].calls
        assert [call[0] for call in sys.modules["mlflow"].calls].count("params") == 1


@pytest.mark.usefixtures("_fakes")
def test_mlflow_gets_a_row_per_epoch():
    odd = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(text="a", infinite=float("inf")))
    _, history = fit(odd, MLflowLogger("digits", run_name="first", tracking_uri="sqlite:///x.db"))
    calls = sys.modules["mlflow"].calls
    assert calls[:3] == [("uri", "sqlite:///x.db"), ("experiment", "digits"), ("start_run", None, "first")]
    assert calls[3][1]["optimizer"] == "SGD(lr=0.1, momentum=0.9)"
    assert calls[-1] == ("end_run",)
    numbers = [{name: row[name] for name in row if name not in ("text", "infinite")} for row in history.rows]
    assert [("mlflow", row, epoch) for epoch, row in enumerate(numbers)] == fakes.TOLD


@pytest.mark.usefixtures("_fakes")
@pytest.mark.parametrize("cls", [WandbLogger, MLflowLogger])
def test_a_run_ends_after_an_error_too(cls):
    def fail(epoch, logs):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(cls(), LambdaCallback(on_epoch_end=fail))
    assert sys.modules["wandb"].run is None
    assert sys.modules["mlflow"].active is None


def test_arguments_are_checked():
    with pytest.raises(ArgumentTypeError, match="project must be text, got 3"):
        WandbLogger(3)
    with pytest.raises(ArgumentTypeError, match="run_name must be text"):
        MLflowLogger(run_name=3)
    with pytest.raises(ArgumentTypeError, match="log_dir must be a folder like 'logs', got 3"):
        TensorBoard(3)
    with pytest.raises(ArgumentError, match="update_freq must be at least 1"):
        TensorBoard(update_freq=0)
    with pytest.raises(ArgumentTypeError, match="update_freq must be an integer, got 'step'"):
        TensorBoard(update_freq="step")
