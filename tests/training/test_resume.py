"""``fit(resume=...)`` within one process: what goes on, what is refused, and what is said."""

import random
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from plain_torch import BATCH, CLASSES, data, loader, ours, same_state, small
from torch import Tensor
from torch.optim.lr_scheduler import ExponentialLR, StepLR
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, Sampler, TensorDataset
from torch.utils.data import WeightedRandomSampler as Weighted

import easyconv as ec
from easyconv.data.sources.keyed import _init_worker
from easyconv.training.identity import differences

EPOCHS = 3
Make = Callable[[], dict[str, Any]]


class StopsAt(ec.callbacks.Callback):
    """Ctrl-C after one batch of one epoch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.at = (epoch, batch)
        self.epoch = -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == self.at:
            signal.raise_signal(signal.SIGINT)


class Noisy(Dataset):
    """A user's data set that draws from all three generators."""

    def __init__(self, rows: int = 26) -> None:
        self.x, self.y = data(rows)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.x[row] + torch.randn(1, 6, 6) + random.random() + float(np.random.rand()), self.y[row]


class InBatches(Noisy):
    """One that reads several rows at once."""

    def __getitems__(self, rows: list[int]) -> list[tuple[Tensor, Tensor]]:
        noise = torch.randn(len(rows), 1, 6, 6)
        return [(self.x[row] + noise[place], self.y[row]) for place, row in enumerate(rows)]


class Stream(IterableDataset):
    """Noise from torch's generator."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(13):
            yield torch.randn(1, 6, 6), torch.randint(CLASSES, ())


class Lazy(Sampler[int]):
    """Draws one number after the other, from the global generator of Python."""

    def __iter__(self) -> Iterator[int]:
        for _ in range(26):
            yield random.randrange(26)

    def __len__(self) -> int:
        return 26


def generator() -> Iterator[tuple[Tensor, Tensor]]:
    source = torch.Generator().manual_seed(4)
    while True:
        yield torch.randn(BATCH, 1, 6, 6, generator=source), torch.randint(CLASSES, (BATCH,), generator=source)


def shifted(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """A collate_fn that draws."""
    x, y = zip(*samples, strict=True)
    return torch.stack(x) + torch.rand(()), torch.stack(y)


SOURCES: dict[str, Make] = {
    "arrays": lambda: dict(zip("xy", data(26), strict=True)),
    "arrays, split": lambda: {**dict(zip("xy", data(40), strict=True)), "validation_split": 0.25},
    "dataset": lambda: {"x": Noisy()},
    "loader": lambda: {"x": DataLoader(Noisy(), batch_size=BATCH, shuffle=True)},
    "rows at once": lambda: {"x": DataLoader(InBatches(), batch_size=BATCH, shuffle=True)},
    "tensor loader": lambda: {"x": loader(*data(26))},
    "own generator": lambda: {"x": loader(*data(26), generator=torch.Generator())},
    "replacement": lambda: {
        "x": DataLoader(Noisy(), batch_size=BATCH, sampler=Weighted(torch.arange(26.0), 26, replacement=True))
    },
    "lazy sampler": lambda: {"x": DataLoader(Noisy(), batch_size=BATCH, sampler=Lazy())},
    "batch sampler": lambda: {"x": DataLoader(Noisy(), batch_sampler=BatchSampler(Lazy(), 5, drop_last=True))},
    "collate of tensors": lambda: {
        "x": DataLoader(TensorDataset(*data(26)), batch_size=BATCH, collate_fn=shifted, shuffle=True)
    },
    "collate": lambda: {"x": DataLoader(Noisy(), batch_size=BATCH, collate_fn=shifted, shuffle=True)},
    "steps": lambda: {"x": DataLoader(Noisy(), batch_size=BATCH, shuffle=True), "steps_per_epoch": 3},
    "array steps": lambda: {**dict(zip("xy", data(50), strict=True)), "steps_per_epoch": 4},
    "stream": lambda: {"x": DataLoader(Stream(), batch_size=4)},
    "stream, workers": lambda: {"x": DataLoader(Stream(), batch_size=4, num_workers=2)},
    "list": lambda: {"x": list(loader(*data(26), shuffle=False))},
    "generator": lambda: {"x": generator(), "steps_per_epoch": 4},
    "augmented": lambda: {"x": ec.data.from_arrays(data(26)).train.augment(ec.augment.RandomCrop(6, padding=1))},
}
REPLAYED = {"stream", "stream, workers", "list", "generator"}
"""What cannot begin in the middle, and says so."""


def compiled(make: Callable[[], ec.Sequential] = ours, **options: Any) -> ec.Sequential:
    model = make()
    model.compile("adam", **{"metrics": ["accuracy"], "lr": 0.02, **options})
    return model


def train(folder: Any, source: str = "arrays", *, stop: Any = None, model: Any = None, **options: Any) -> Any:
    """The model and the history of a run in a folder, of the whole run or up to a Ctrl-C."""
    model = compiled() if model is None else model
    given = SOURCES[source]()
    if "batch_size" not in given and not isinstance(given["x"], (DataLoader, list)) and source != "generator":
        given["batch_size"] = BATCH
    arguments = {"epochs": EPOCHS, "verbose": 0, "validation_data": None, **given, **options}
    if arguments["validation_data"] is None:
        del arguments["validation_data"]
    callbacks = list(arguments.pop("callbacks", []))
    if stop is not None:
        with pytest.raises(KeyboardInterrupt):
            model.fit(resume=folder, callbacks=[*callbacks, StopsAt(*stop)], **arguments)
        return model, None
    return model, model.fit(resume=folder, callbacks=callbacks, **arguments)


def same_runs(one: Any, other: Any) -> bool:
    (model, history), (twin, expected) = one, other
    optimizers = [str(part.optimizer.state_dict()) for part in (model, twin)]
    return bool(
        same_state(model, twin)
        and optimizers[0] == optimizers[1]
        and history.rows == expected.rows
        and history.epoch == expected.epoch
        and model.history.rows == twin.history.rows
    )


@pytest.mark.parametrize("stop", [(0, 0), (1, 1), (1, 2)])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.filterwarnings("ignore:x cannot begin in the middle")
def test_every_source_goes_on(tmp_path: Path, source: str, stop: tuple[int, int]) -> None:
    whole = train(tmp_path / "whole", source)
    train(tmp_path / "run", source, stop=stop)
    random.seed(1)
    torch.manual_seed(1)
    assert same_runs(train(tmp_path / "run", source), whole)


@pytest.mark.parametrize("source", sorted(REPLAYED))
def test_what_is_read_again_says_so(tmp_path: Path, source: str) -> None:
    train(tmp_path, source, stop=(0, 2))
    with pytest.warns(ec.errors.EasyconvWarning, match="x cannot begin in the middle: the first 3 batches are read"):
        train(tmp_path, source)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [(0, 0), (1, 2)])
def test_pictures_read_from_files_go_on(tmp_path: Path, stop: tuple[int, int], workers: int) -> None:
    for row, (image, label) in enumerate(zip(*data(26), strict=True)):
        path = tmp_path / "pictures" / f"class{label}" / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].mul(60).add(128).clamp(0, 255).byte().numpy()).save(path)

    def run(folder: str, workers: int = 0, **options: Any) -> Any:
        pictures = ec.data.image_folder(tmp_path / "pictures", 6, channels=1, cache=None, num_workers=workers)
        model = compiled()
        given = pictures.train.augment(ec.augment.RandomCrop(6, padding=1))
        history = model.fit(given, batch_size=BATCH, epochs=2, resume=tmp_path / folder, verbose=0, **options)
        return model, history

    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("run", workers, callbacks=StopsAt(*stop))
    assert same_runs(run("run"), whole)


def test_a_stream_that_does_not_repeat_is_refused(tmp_path: Path) -> None:
    class Fresh(IterableDataset):
        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            source = np.random.default_rng()  # of the operating system
            for _ in range(12):
                yield torch.from_numpy(source.standard_normal((1, 6, 6), dtype=np.float32)), torch.tensor(1)

    def fit(**options: Any) -> None:
        compiled().fit(DataLoader(Fresh(), batch_size=2), epochs=1, resume=tmp_path, verbose=0, **options)

    with pytest.raises(KeyboardInterrupt):
        fit(callbacks=StopsAt(0, 1))
    with pytest.warns(ec.errors.EasyconvWarning, match="cannot begin"), pytest.raises(ec.errors.ResumeError) as refused:
        fit()
    assert "x does not give the same batches again: batch 2 is another one than in the run" in str(refused.value)
    assert "start anew in another folder" in str(refused.value)


def test_rows_with_a_generator_of_their_own_get_a_warning(tmp_path: Path) -> None:
    class Own(Noisy):
        def __init__(self) -> None:
            super().__init__()
            self.random = np.random.default_rng()

        def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
            return self.x[row] * float(self.random.random()), self.y[row]

    def fit(**options: Any) -> None:
        compiled().fit(DataLoader(Own(), batch_size=BATCH), epochs=1, resume=tmp_path, verbose=0, **options)

    with pytest.raises(KeyboardInterrupt):
        fit(callbacks=StopsAt(0, 1))
    with pytest.warns(ec.errors.EasyconvWarning, match="draw from a random generator of its own"):
        fit()


def test_another_number_of_workers_of_a_stream_is_refused(tmp_path: Path) -> None:
    train(tmp_path, "stream, workers", stop=(0, 1))
    with pytest.raises(ec.errors.ResumeError, match=r"data, num_workers: 2 in the run, 0 now"):
        train(tmp_path, "stream")


def test_a_finished_run_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = train(tmp_path)
    capsys.readouterr()
    seen: list[int] = []
    listens = ec.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    again = train(tmp_path, verbose=2, callbacks=[listens])
    assert same_runs(again, whole)
    assert seen == []
    text = capsys.readouterr().out
    assert text.startswith(f"The run in {str(tmp_path)!r} has ended after 3 epochs: nothing is left to do")


def test_a_finished_run_goes_on_with_more_epochs(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", epochs=5)
    train(tmp_path / "run", epochs=2)
    train(tmp_path / "run", epochs=3)
    assert same_runs(train(tmp_path / "run", epochs=5), whole)


def test_it_says_where_it_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path, stop=(1, 1))
    train(tmp_path, verbose=2)
    assert capsys.readouterr().out.startswith(f"Going on in epoch 2, batch 3, from {str(tmp_path)!r}.\n")


def test_best_weights_are_there_after_the_end(tmp_path: Path) -> None:
    """What ``on_train_end`` made of the net is kept, and so is what to go on from."""

    def early() -> list[Any]:
        return [ec.callbacks.EarlyStopping(monitor="loss", patience=1, min_delta=9.0, restore_best_weights=True)]

    whole = train(tmp_path / "whole", callbacks=early())
    assert len(whole[1]) == 2  # stopped
    again = train(tmp_path / "whole", callbacks=early())
    assert same_runs(again, whole)
    # It was stopped, so only more epochs go on, and from the last weights rather than the best.
    longer = train(tmp_path / "whole", callbacks=early(), epochs=5)
    assert len(longer[1]) == 3


def test_a_run_that_died_before_its_end_ends(tmp_path: Path) -> None:
    class Dies(ec.callbacks.Callback):
        def on_train_end(self, logs: Any = None) -> None:
            raise OSError("died")

    def early() -> Any:
        return ec.callbacks.EarlyStopping(monitor="loss", patience=1, min_delta=9.0, restore_best_weights=True)

    whole = train(tmp_path / "whole", callbacks=[early()])
    with pytest.raises(OSError, match="died"):
        train(tmp_path / "run", callbacks=[early(), Dies()])
    assert same_runs(train(tmp_path / "run", callbacks=[early()]), whole)


class Falls(ec.callbacks.Callback):
    """One of the user's, which makes its state when training begins."""

    remembers = ("rate",)

    def on_train_begin(self, logs: Any = None) -> None:
        self.rate = 0.02

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.rate *= 0.9
        ec.optim.set_lr(self.model.optimizer, self.rate)


SCHEDULES: dict[str, Callable[[], ec.callbacks.Callback]] = {
    "OneCycle": ec.callbacks.OneCycle,
    "WarmupCosine": ec.callbacks.WarmupCosine,
    "torch's, by epoch": lambda: ec.callbacks.TorchScheduler(lambda optimizer: ExponentialLR(optimizer, 0.5)),
    "torch's, by batch": lambda: ec.callbacks.TorchScheduler(lambda optimizer: StepLR(optimizer, 3), per="batch"),
    "the user's": Falls,
}


@pytest.mark.parametrize("stop", [(0, 0), (1, 1), (1, 3)])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_state_that_comes_with_the_first_event_goes_on(tmp_path: Path, name: str, stop: tuple[int, int]) -> None:
    """Which callbacks have one is looked at before training begins, where these have none yet."""
    whole = train(tmp_path / "whole", callbacks=[SCHEDULES[name]()])
    train(tmp_path / "run", callbacks=[SCHEDULES[name]()], stop=stop)
    assert same_runs(train(tmp_path / "run", callbacks=[SCHEDULES[name]()]), whole)
    assert same_runs(train(tmp_path / "run", callbacks=[SCHEDULES[name]()]), whole)  # finished
    with pytest.raises(ec.errors.ResumeError, match="was trained with the callbacks"):
        train(tmp_path / "run")


DIFFERENT: dict[str, tuple[dict[str, Any], Callable[[], ec.Sequential], str]] = {
    "net": ({}, lambda: compiled(lambda: ours(dropout=0.5)), r"layer, 4: Dropout\(p=0.25.* in the run, .*p=0.5"),
    "sizes": ({}, lambda: compiled(small), r"layer, 0: Conv2d\(1, 4"),
    "optimizer": ({}, lambda: compiled(lr=0.03), r"optimizer, group 0, lr: 0.02 in the run, 0.03 now"),
    "loss": ({}, lambda: compiled(loss=torch.nn.CrossEntropyLoss(label_smoothing=0.1)), "loss"),
    "metrics": ({}, lambda: compiled(metrics=["top2"]), "metrics"),
    "average": ({}, lambda: compiled(ema=0.9), r"compile, ema: none in the run, 0.9 now"),
    "length": ({"x": data(30)[0], "y": data(30)[1]}, compiled, r"data, rows: 26 in the run, 30 now"),
    "batches": ({"batch_size": 4}, compiled, r"data, batch_size: 8 in the run, 4 now"),
    "order": ({"shuffle": False}, compiled, r"data, shuffle: True in the run, False now"),
    "seed": ({"seed": 1}, compiled, r"fit, seed: 0 in the run, 1 now"),
    "validation": ({"validation_data": data(9)}, compiled, r"validation_data: none in the run, "),
    "steps": ({"steps_per_epoch": 2}, compiled, r"fit, steps_per_epoch: none in the run, 2 now"),
    "callbacks": (
        {"callbacks": [ec.callbacks.ReduceLROnPlateau("loss")]},
        compiled,
        r"with the callbacks none .*to go",
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_another_run_is_refused(tmp_path: Path, name: str) -> None:
    train(tmp_path, stop=(1, 0))
    options, make, told = DIFFERENT[name]
    model = make()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ec.errors.ResumeError, match=told) as refused:
        train(tmp_path, model=model, **options)
    assert "another folder for a new run" in str(refused.value)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert len(model.history) == 0
    train(tmp_path)  # and what was there is there


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    train(tmp_path / "run", stop=(1, 1))
    newest = max((tmp_path / "run").glob("step-*"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    with pytest.warns(ec.errors.EasyconvWarning, match=r"cut off or altered.*Going on from step"):
        found = train(tmp_path / "run")
    assert same_runs(found, whole)


def test_one_training_at_a_time(tmp_path: Path) -> None:
    class Second(ec.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            with pytest.raises(ec.errors.FolderInUseError, match="is in use"):
                train(tmp_path)

    train(tmp_path, callbacks=[Second()])


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    from easyconv.files import CheckpointFolder

    with CheckpointFolder(tmp_path) as folder:
        folder.save({"step": 3}, step=3)
    with pytest.raises(ec.errors.ResumeError, match=r"are none of fit\(resume=\.\.\.\)"):
        train(tmp_path)


@pytest.mark.parametrize("place", ["data", "first batch", "forward", "epoch end", "batch end"])
def test_an_error_loses_little(tmp_path: Path, place: str) -> None:
    """What went wrong is mended, and the same command goes on: without a step trained twice where that can be."""
    broken = True
    steps: list[int] = []

    class Breaks(Noisy):
        reads = 0

        def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
            self.reads += 1
            if broken and ((place == "data" and self.reads > 40) or (place == "first batch" and len(steps) == 4)):
                raise OSError("the disk is away")
            return super().__getitem__(row)

    class Watch(ec.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            steps.append(self.model._session.progress.steps)
            if broken and place == "batch end" and steps[-1] == 6:
                raise OSError("no screen")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if broken and place == "epoch end" and epoch == 1:
                raise OSError("no screen")

    def watch_forward(module: Any, inputs: Any) -> None:
        if broken and place == "forward" and len(steps) == 6:
            raise OSError("no memory")

    def run(folder: str) -> Any:
        model = compiled()
        model[0].register_forward_pre_hook(watch_forward)
        given = DataLoader(Breaks(), batch_size=BATCH, shuffle=True)
        history = model.fit(given, epochs=EPOCHS, resume=tmp_path / folder, callbacks=Watch(), verbose=0)
        return model, history

    with pytest.raises((OSError, ec.errors.SampleError, ec.errors.DataError)):
        run("run")
    broken = False
    found = run("run")
    done = list(steps)
    assert same_runs(found, run("whole"))
    expected = [1, 2, 3, 4, 5, 6, *([5, 6] if place == "batch end" else []), *range(7, 13)]
    assert done == expected


def test_a_failed_save_at_the_end_does_not_hide_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Breaks(ec.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            def full(*arguments: Any, **options: Any) -> None:
                raise ec.errors.FileWriteError("the disk is full")

            monkeypatch.setattr("easyconv.files.checkpoints.write_state", full)
            raise ZeroDivisionError

    with (
        pytest.warns(ec.errors.EasyconvWarning, match="The state at the end could not be saved: the disk is full"),
        pytest.raises(ZeroDivisionError),
    ):
        train(tmp_path, callbacks=[Breaks()])


def test_a_poisoned_training_is_not_kept(tmp_path: Path) -> None:
    calls = 0

    def explodes(output: Tensor, target: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        loss = torch.nn.functional.cross_entropy(output, target)
        return loss * float("nan") if calls == 6 else loss

    with pytest.raises(ec.errors.NonFiniteLossError):
        train(ec.RunFolder(tmp_path, every_steps=1), model=compiled(loss=explodes))
    from easyconv.files import CheckpointFolder

    with CheckpointFolder(tmp_path) as folder:
        found = folder.load()
    assert found is not None
    assert all(tensor.isfinite().all() for tensor in found.content["net"]["tensors"].values())


def test_gradients_that_wait_are_not_lost(tmp_path: Path) -> None:
    def accumulating() -> ec.Sequential:
        return compiled(accumulate=3)

    whole = train(tmp_path / "whole", model=accumulating())
    train(tmp_path / "run", model=accumulating(), stop=(1, 0))
    assert same_runs(train(tmp_path / "run", model=accumulating()), whole)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop", "lbfgs_free"])
def test_optimizers_go_on(tmp_path: Path, optimizer: str, precision: str) -> None:
    def make() -> ec.Sequential:
        model = ours()
        chosen = {"sgd": ec.optim.SGD(lr=0.1, momentum=0.9, nesterov=True), "lbfgs_free": torch.optim.Adadelta}
        model.compile(chosen.get(optimizer, optimizer), precision=precision, metrics=["accuracy"])
        return model

    whole = train(tmp_path / "whole", model=make())
    train(tmp_path / "run", model=make(), stop=(1, 1))
    assert same_runs(train(tmp_path / "run", model=make()), whole)


@pytest.mark.parametrize("stop", [(0, 1), (1, 3), (2, 1)])
def test_both_phases_of_fine_tune_go_on(tmp_path: Path, stop: tuple[int, int]) -> None:
    def run(folder: str, **options: Any) -> Any:
        model = compiled()
        x, y = data(26)
        history = model.fine_tune(
            x, y, batch_size=BATCH, epochs=2, head_epochs=1, resume=tmp_path / folder, verbose=0, **options
        )
        return model, history

    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("run", callbacks=StopsAt(*stop))
    assert same_runs(run("run"), whole)
    assert same_runs(run("run"), whole)  # finished


def distance(output: Tensor, target: Tensor) -> Tensor:
    return (output.argmax(1) - target).abs().float().mean()


class Extreme(ec.metrics.Metric):
    """A metric of the user's, with a tensor for a state."""

    name = "extreme"

    def reset(self) -> None:
        self.value = torch.tensor(0.0)

    def update(self, output: Tensor, target: Tensor) -> None:
        self.value = torch.maximum(self.value, output.max())

    def compute(self) -> Tensor:
        return self.value


@pytest.mark.parametrize(
    "metric", ["accuracy", "top2", "f1", "precision", "auroc", "average_precision", distance, Extreme()]
)
def test_metrics_of_half_an_epoch_go_on(tmp_path: Path, metric: Any) -> None:
    whole = train(tmp_path / "whole", model=compiled(metrics=[metric]))
    train(tmp_path / "run", model=compiled(metrics=[metric]), stop=(1, 1))
    assert same_runs(train(tmp_path / "run", model=compiled(metrics=[metric])), whole)


@pytest.mark.filterwarnings("error::easyconv.errors.EasyconvWarning")
def test_metrics_of_torchmetrics_go_on(tmp_path: Path) -> None:
    torchmetrics = pytest.importorskip("torchmetrics")

    def make() -> Any:
        classes = {"task": "multiclass", "num_classes": CLASSES}
        several = torchmetrics.MetricCollection([torchmetrics.Recall(**classes), torchmetrics.Specificity(**classes)])
        return compiled(metrics=[several, torchmetrics.CohenKappa(**classes)])

    whole = train(tmp_path / "whole", model=make())
    train(tmp_path / "run", model=make(), stop=(1, 1))
    assert same_runs(train(tmp_path / "run", model=make()), whole)


def test_a_metric_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    class Odd(Extreme):
        def reset(self) -> None:
            super().reset()
            self.seen = {1, 2}

    with pytest.raises(
        ec.errors.ArgumentTypeError, match=r"The metric 'extreme' cannot be kept .*seen.*load_state_dict"
    ):
        train(tmp_path, model=compiled(metrics=[Odd()]))


def test_a_second_fit_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """A script of two trainings, ended in the second, goes through the first again without training."""

    def script(folder: str, stop: Any = None) -> Any:
        model = compiled()
        train(tmp_path / folder / "a", model=model, epochs=2)
        return train(tmp_path / folder / "b", model=model, epochs=2, stop=stop)

    whole = script("whole")
    script("run", stop=(1, 1))
    assert same_runs(script("run"), whole)


def test_one_process_may_interrupt_and_go_on(tmp_path: Path) -> None:
    """As in a notebook, where a cell runs again and the model is the one of before."""

    def plateau() -> list[Any]:
        return [ec.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=9.0)]

    whole = train(tmp_path / "whole", epochs=5, callbacks=plateau())
    model = compiled()
    train(tmp_path / "run", model=model, epochs=5, callbacks=plateau(), stop=(2, 1))
    assert model.optimizer is not None
    assert model.optimizer.param_groups[0]["lr"] < 0.02  # which is no difference to the run
    train(tmp_path / "run", model=model, epochs=4, callbacks=plateau())
    assert same_runs(train(tmp_path / "run", model=model, epochs=5, callbacks=plateau()), whole)
    assert same_runs(train(tmp_path / "run", model=model, epochs=5, callbacks=plateau()), whole)


def test_an_error_at_the_end_of_an_epoch_leaves_no_row_twice(tmp_path: Path) -> None:
    class Breaks(ec.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1 and broken:
                raise OSError

    model = compiled()
    train(tmp_path / "first", model=model, epochs=1)
    broken = True
    with pytest.raises(OSError):  # noqa: PT011 (it has no text)
        train(tmp_path / "run", model=model, callbacks=[Breaks()])
    broken = False
    train(tmp_path / "run", model=model, callbacks=[Breaks()])
    assert model.history.epoch == [0, 0, 1, 2]


CHANGES_THE_RATE: dict[str, Callable[[], Any]] = {
    "DropLR": lambda: ec.callbacks.DropLR([1]),
    "LearningRateScheduler": lambda: ec.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.9),
    "the user's": lambda: ec.callbacks.LambdaCallback(on_epoch_begin=halve),
}


def halve(epoch: int, logs: Any) -> None:
    for group in current[0].optimizer.param_groups:
        group["lr"] *= 0.5


current: list[Any] = []


@pytest.mark.parametrize("stop", [(0, 3), (1, 1), (2, 0)])
@pytest.mark.parametrize("name", CHANGES_THE_RATE)
def test_a_rate_is_changed_once_an_epoch(tmp_path: Path, name: str, stop: tuple[int, int]) -> None:
    """By callbacks that keep no state, and hear again that the epoch begins."""

    def run(folder: str, stop: Any = None) -> Any:
        current[:] = [compiled()]
        return train(tmp_path / folder, model=current[0], callbacks=[CHANGES_THE_RATE[name]()], stop=stop)

    whole = run("whole")
    run("run", stop)
    assert same_runs(run("run"), whole)


def test_buffers_of_the_loss_go_on(tmp_path: Path) -> None:
    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", torch.ones(()))
            self.weight = torch.nn.Parameter(torch.ones(()))

        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            loss = torch.nn.functional.cross_entropy(output, target)
            self.scale = 0.9 * self.scale + 0.1 * loss.detach()
            return loss / self.scale * self.weight.exp()

    def make() -> ec.Sequential:
        return compiled(loss=Scaled())

    whole = train(tmp_path / "whole", model=make())
    train(tmp_path / "run", model=make(), stop=(1, 1))
    assert same_runs(train(tmp_path / "run", model=make()), whole)


def test_a_second_optimizer_of_the_users_goes_on(tmp_path: Path) -> None:
    class Two(ec.Model):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = torch.nn.Linear(36, CLASSES), torch.nn.Linear(36, CLASSES)
            self.second = torch.optim.Adam(self.two.parameters(), lr=0.05)

        def forward(self, x: Tensor) -> Tensor:
            return self.one(x.flatten(1)) + self.two(x.flatten(1))

        def train_step(self, batch: Any) -> Any:
            loss = self.compute_loss(self(batch.x), batch.y)
            for optimizer in (self.optimizer, self.second):
                optimizer.zero_grad()
            loss.backward()
            for optimizer in (self.optimizer, self.second):
                optimizer.step()
            return {"loss": loss.detach()}

    def make() -> ec.Model:
        torch.manual_seed(0)
        model = Two()
        model.compile("sgd", lr=0.01)
        return model

    whole = train(tmp_path / "whole", model=make())
    train(tmp_path / "run", model=make(), stop=(1, 1))
    found = train(tmp_path / "run", model=make())
    assert same_runs(found, whole)
    assert str(found[0].second.state_dict()) == str(whole[0].second.state_dict())


@pytest.mark.filterwarnings("error::easyconv.errors.EasyconvWarning")
def test_metrics_of_several_outputs_go_on(tmp_path: Path) -> None:
    class Two(ec.Model):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = torch.nn.Linear(36, CLASSES), torch.nn.Linear(36, 1)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"kind": self.one(x.flatten(1)), "size": self.two(x.flatten(1)).squeeze(1)}

    def run(folder: str, **options: Any) -> Any:
        torch.manual_seed(0)
        model = Two()
        metrics = {"kind": ["accuracy", "f1", "auroc"], "size": ["mae"]}
        model.compile("adam", loss={"kind": "cross_entropy", "size": "mse"}, metrics=metrics)
        x, y = data(26)
        targets = {"kind": y, "size": x.mean((1, 2, 3))}
        return model, model.fit(x, targets, batch_size=8, epochs=2, resume=tmp_path / folder, verbose=0, **options)

    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("run", callbacks=StopsAt(1, 1))
    assert same_runs(run("run"), whole)


def test_another_monitor_begins_with_another_best(tmp_path: Path) -> None:
    train(ec.RunFolder(tmp_path, monitor="accuracy"), epochs=2)
    _, history = train(ec.RunFolder(tmp_path, monitor="loss"), epochs=6)
    losses = history.history["loss"][2:]
    [*_, newest] = sorted(tmp_path.glob("*-best*"))
    assert int(newest.name[5:15]) == (losses.index(min(losses)) + 3) * 4


def test_the_program_may_go_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()

    class Goes(ec.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            monkeypatch.chdir(tmp_path / "elsewhere")

    train("runs/a", callbacks=[Goes()])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "runs"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(ec.errors.FileWriteError, match=r"Checkpoints go into a folder, and '.*run' is a file"):
        train(tmp_path / "run")


def test_backup_and_restore(tmp_path: Path) -> None:
    def fit(**options: Any) -> Any:
        model = compiled()
        x, y = data(26)
        stop, given = options.pop("stop", None), ec.callbacks.BackupAndRestore(tmp_path / "backup", **options)
        callbacks = [given] if stop is None else [given, StopsAt(*stop)]
        return model, model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, callbacks=callbacks, verbose=0)

    whole = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(stop=(1, 1))
    assert list((tmp_path / "backup").glob("step-*"))
    assert same_runs(fit(save_freq=2), whole)
    assert not list((tmp_path / "backup").glob("step-*"))  # as in Keras
    fit(delete_checkpoint=False)
    assert list((tmp_path / "backup").glob("step-*"))
    assert same_runs(fit(delete_checkpoint=False), whole)


def test_one_folder_is_enough(tmp_path: Path) -> None:
    backup = ec.callbacks.BackupAndRestore(tmp_path / "a")
    with pytest.raises(ec.errors.ArgumentError, match="pass resume= or one BackupAndRestore, not both"):
        train(tmp_path / "b", callbacks=[backup])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"path": 3}, "resume must be the path of a folder, or a RunFolder, got 3"),
        ({"path": ""}, "resume must be the path of a folder, got ''"),
        ({"path": "a", "every_steps": 0}, "every_steps must be"),
        ({"path": "a", "every_seconds": -1.0}, "every_seconds must be"),
        ({"path": "a", "keep": 0}, "keep must be"),
        ({"path": "a", "monitor": 3}, "monitor must be the name of a value or None, got 3"),
        ({"path": "a", "discard_when_done": 1}, "discard_when_done must be"),
    ],
)
def test_settings_that_make_no_sense(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises((ec.errors.ArgumentError, ec.errors.ArgumentTypeError), match=told):
        ec.RunFolder(**arguments)


def test_bad_arguments_of_backup(tmp_path: Path) -> None:
    with pytest.raises(ec.errors.ArgumentError, match="save_freq must be 'epoch' or a number of batches, got 'batch'"):
        ec.callbacks.BackupAndRestore(tmp_path, save_freq="batch")  # type: ignore[arg-type]


def test_the_best_is_kept(tmp_path: Path) -> None:
    _, history = train(ec.RunFolder(tmp_path, monitor="accuracy", keep=1), epochs=6)
    best = max(range(6), key=lambda epoch: (history.history["accuracy"][epoch], -epoch))
    [path] = tmp_path.glob("*-best*")
    assert path.name == f"step-{(best + 1) * 4:010d}-best.safetensors"
    assert len(list(tmp_path.glob("step-*"))) <= 2


def test_weights_can_be_read_from_a_checkpoint(tmp_path: Path) -> None:
    model, _ = train(tmp_path)
    other = ours(seed=9)
    other.load_weights(max(tmp_path.glob("step-*")))
    assert same_state(other, model)
    wrapped = ec.Model(ours(seed=8))
    wrapped.load_weights(max(tmp_path.glob("step-*")))
    assert same_state(wrapped.net, model)


def test_a_misspelt_monitor(tmp_path: Path) -> None:
    with pytest.raises(ec.errors.ArgumentError, match=r"RunFolder\(monitor='acuracy'\) is not in the logs, which have"):
        train(ec.RunFolder(tmp_path, monitor="acuracy"))


def test_saves_by_steps_and_seconds(tmp_path: Path) -> None:
    from easyconv.files import CheckpointFolder

    train(ec.RunFolder(tmp_path / "steps", every_steps=3, keep=99), epochs=2)
    train(ec.RunFolder(tmp_path / "seconds", every_seconds=1e-9, keep=99), epochs=2)
    train(ec.RunFolder(tmp_path / "epochs", keep=99), epochs=2)
    for name, steps in (("steps", [0, 3, 4, 7, 8]), ("seconds", list(range(9))), ("epochs", [0, 4, 8])):
        with CheckpointFolder(tmp_path / name) as folder:
            assert folder.steps() == steps


def test_only_the_main_thread_gets_handlers(tmp_path: Path) -> None:
    found: list[Any] = []

    class Looks(ec.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            found.append((signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)))

    usual = (signal.SIG_DFL, signal.default_int_handler)
    thread = threading.Thread(target=lambda: train(tmp_path / "thread", callbacks=[Looks()]))
    thread.start()
    thread.join()
    train(tmp_path / "main", callbacks=[Looks()])
    x, y = data(26)
    compiled().fit(x, y, callbacks=Looks(), verbose=0)
    assert found[0] == usual
    assert usual[0] != found[1][0]
    assert usual[1] != found[1][1]
    assert found[2][0] == usual[0]  # without a folder SIGTERM is nobody's business
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == usual


HOOKS = [name for name in vars(ec.callbacks.Callback) if name.startswith("on_") and "predict" not in name]


@pytest.mark.parametrize("hook", [name for name in HOOKS if name not in ("on_batch_begin", "on_batch_end")])
def test_all_is_given_back_after_an_error(tmp_path: Path, hook: str) -> None:
    class Fails(ec.callbacks.Callback):
        pass

    def fail(self: Any, *arguments: Any) -> None:
        raise OverflowError(hook)

    setattr(Fails, hook, fail)
    random.seed(2)
    np.random.seed(2)
    torch.manual_seed(2)
    before = (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist())
    model = compiled(ours)
    model.eval()
    torch.set_rng_state(torch.tensor(before[2], dtype=torch.uint8))
    with pytest.raises(OverflowError, match=hook), torch.no_grad():
        train(tmp_path, model=model, callbacks=[Fails()], validation_data=data(9))
    assert (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()) == before
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == (
        signal.SIG_DFL,
        signal.default_int_handler,
    )
    assert not model.training
    assert torch.is_grad_enabled()
    train(tmp_path, validation_data=data(9))  # the folder is free again


def test_a_batch_size_that_was_chosen_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = iter([4, 16])
    monkeypatch.setattr("easyconv.model.batch_size.chosen_batch_size", lambda *arguments, **options: next(chosen))
    whole = train(tmp_path / "whole", batch_size=4)
    train(tmp_path / "run", batch_size="auto", stop=(1, 1))
    assert same_runs(train(tmp_path / "run", batch_size="auto"), whole)


def test_rows_do_not_depend_on_workers(tmp_path: Path) -> None:
    def run(workers: int, persistent: bool = False) -> Any:
        model = compiled()
        given = DataLoader(Noisy(), batch_size=BATCH, shuffle=True, num_workers=workers, persistent_workers=persistent)
        return model, model.fit(given, epochs=2, seed=3, verbose=0)

    none = run(0)
    assert same_runs(run(1), none)
    assert same_runs(run(2), none)
    assert same_runs(run(2, persistent=True), none)


def test_samplers_are_told_the_number_of_the_pass() -> None:
    """Also in a second fit, whose first batch was looked at before."""

    class Told(Sampler[int]):
        def __init__(self) -> None:
            self.epoch = -1
            self.begun: list[int] = []

        def set_epoch(self, epoch: int) -> None:
            self.epoch = epoch

        def __iter__(self) -> Iterator[int]:
            self.begun.append(self.epoch)
            generator = torch.Generator().manual_seed(self.epoch)
            return iter(torch.randperm(26, generator=generator).tolist())

        def __len__(self) -> int:
            return 26

    def run(*epochs: int) -> Any:
        model, history = compiled(), None
        for number in epochs:
            given = DataLoader(Noisy(), batch_size=BATCH, sampler=Told())
            history = model.fit(given, epochs=number, seed=0, verbose=0)
        return model, history

    halves, whole = run(1, 2), run(3)
    assert same_state(halves[0], whole[0])
    assert halves[0].history.history == whole[0].history.history


def test_a_worker_without_a_parent_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parent was killed while it began."""

    class Dead:
        def is_alive(self) -> bool:
            return False

    def leave(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr("multiprocessing.parent_process", Dead)
    monkeypatch.setattr("os._exit", leave)
    with pytest.raises(SystemExit, match="1"):
        _init_worker(None, Noisy(), 0)


def test_code_in_workers_finds_its_data_set() -> None:
    class Opens(Noisy):
        opened = 0

        def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
            assert self.opened == 1
            return super().__getitem__(row)

    def init(worker: int) -> None:
        torch.utils.data.get_worker_info().dataset.opened += 1  # type: ignore[union-attr]

    given = DataLoader(Opens(), batch_size=BATCH, num_workers=1, worker_init_fn=init)
    compiled().fit(given, seed=0, verbose=0)


def test_a_bar_goes_on_in_the_middle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path, stop=(1, 1))
    train(tmp_path, verbose=1)
    text = capsys.readouterr().out
    assert re.match(r"Going on in epoch 2, batch 3, from [^\n]*\n\s*Epoch 2/3[^\n]*  4/4  [^\n]*\n", text)


def test_tensors_of_a_dataset_are_gathered_either_way(tmp_path: Path) -> None:
    """Workers read a TensorDataset row by row, where the fast way gathers: the same batches."""
    x, y = data(26)

    def run(workers: int) -> Any:
        model = compiled()
        given = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True, num_workers=workers)
        return model, model.fit(given, epochs=1, seed=1, verbose=0)

    assert same_runs(run(1), run(0))


# --- another version of torch -----------------------------------------------------------------------------------------

SAYS_MORE = "BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, {}track_running_stats=True)"


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        (SAYS_MORE.format("bias=True, "), SAYS_MORE.format(""), True),
        (SAYS_MORE.format(""), SAYS_MORE.format("new_word=3, "), True),
        ("Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))", "Conv2d(1, 4, kernel_size=(3, 3), stride=(2, 2))", False),
        ("Conv2d(1, 4, kernel_size=(3, 3))", "Conv2d(1, 4, kernel_size=(3, 3), padding=(1, 1))", False),
        ("Conv2d(1, 4, kernel_size=(3, 3), bias=False)", "Conv2d(1, 4, kernel_size=(3, 3))", False),
        ("Dropout(p=0.5, inplace=False)", "Dropout(p=0.3, inplace=False)", False),
        ("ReLU()", "ReLU(inplace=True)", False),
        ("ReLU()", "ReLU(inplace=False)", True),
        ("GELU(approximate='none')", "GELU()", True),
        ("GELU(approximate='tanh')", "GELU()", False),
        ("Lambda(square)", "Lambda(relu)", False),
        ("OwnLayer(width=3)", "OwnLayer()", False),
    ],
)
def test_what_another_version_of_torch_leaves_out_is_no_difference(before: str, now: str, same: bool) -> None:
    found = differences({"layer": {"a": before}}, {"layer": {"a": now}})
    assert found == ([] if same else [f"layer, a: {before} in the run, {now} now"])
