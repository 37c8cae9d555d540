"""The bar in a terminal, through real fits: what the screen shows, and that what was borrowed is given back."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import textwrap
import time
import warnings

import pytest
import torch
from screen import Screen, watched

import easyconv as ec
from easyconv.callbacks import Callback, EarlyStopping, LambdaCallback, ProgressBar, ReduceLROnPlateau
from easyconv.callbacks.places import PrintAbove

X, Y = torch.randn(40, 4), torch.arange(40) % 3


def classifier(*metrics):
    torch.manual_seed(0)
    model = ec.Sequential([ec.layers.Dense(3)])
    model.compile("sgd", metrics=list(metrics) or ["accuracy"])
    return model


def matches(lines, *patterns):
    assert len(lines) == len(patterns), lines
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)


V = r"\d+\.\d{4}"
T = r"\d+\.\d+s"


def test_at_80_columns(monkeypatch):
    with watched(monkeypatch, 80) as screen:
        classifier().fit(X, Y, batch_size=4, epochs=10, initial_epoch=8, validation_data=(X, Y), verbose=1)
    line = rf"10/10  {T}  loss {V} val {V}  accuracy {V} val {V}"
    matches(screen.lines, rf"Epoch  9/10  {line}", rf"Epoch 10/10  {line}")
    assert not screen.wrapped


def test_two_metrics_at_80_columns(monkeypatch):
    with watched(monkeypatch, 80) as screen:
        classifier("accuracy", "top2").fit(X, Y, batch_size=4, validation_data=(X, Y), verbose=1)
    matches(
        screen.lines,
        rf"Epoch 1/1  {T}  loss {V}  accuracy {V}  top2 {V}",
        rf" +val +{V} +{V} +{V}",
    )
    assert [m.end() for m in re.finditer(V, screen.lines[0])] == [m.end() for m in re.finditer(V, screen.lines[1])]
    assert not screen.wrapped


def test_at_120_columns(monkeypatch):
    with watched(monkeypatch, 120) as screen:
        classifier().fit(X, Y, batch_size=4, validation_data=(X, Y), verbose=1)
    line = rf"Epoch 1/1  ━{{8,30}}  10/10  {T}  loss {V}  accuracy {V}  val_loss {V}  val_accuracy {V}"
    matches(screen.lines, line)


def test_the_final_values_are_those_of_the_history(monkeypatch):
    with watched(monkeypatch, 120) as screen:
        history = classifier().fit(X, Y, batch_size=4, validation_data=(X, Y), verbose=1)
    for name, (value,) in history.history.items():
        if name != "learning_rate":
            assert f"{name} {value:.4f}" in screen.lines[0]


def test_running_means_are_shown_and_read_seldom(monkeypatch):
    reads, screens = [], []
    progress = ProgressBar()

    class Logs(dict):
        def items(self):
            reads.append(len(screens))
            return super().items()

    with watched(monkeypatch, 80) as screen:
        progress.set_params({"epochs": 1, "steps": 1000})
        progress.on_train_begin()
        progress.on_epoch_begin(0)
        began = time.perf_counter()
        for batch in range(1000):
            progress.on_train_batch_end(batch, Logs(loss=float(batch)))
            time.sleep(0.0005)
        took = time.perf_counter() - began
        progress.on_train_end()
    assert 2 <= len(reads) <= took / 0.2 + 2
    # What was cut short stays as it was, with the last values that were read.
    matches(screen.lines, rf"Epoch 1/1  ━+  1000/1000  {T}  loss \d+\.\d{{4}}")


def test_prints_come_above_the_bar(monkeypatch):
    class Talk(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                print("in the middle")
                print("to stderr", file=sys.stderr)
                print("in", "pieces", end=" ")
                print("of a line")

        def on_epoch_end(self, epoch, logs=None):
            print(f"at the end: {logs['loss']:.4f}")

    with watched(monkeypatch, 80) as screen:
        history = classifier().fit(X, Y, batch_size=4, epochs=2, verbose=1, callbacks=[Talk()])
    first, second = history.history["loss"]
    said = ["in the middle", "to stderr", "in pieces of a line"]
    bar = rf"━+  10/10  {T}  loss {V}  accuracy {V}"
    matches(
        screen.lines,
        *said, rf"at the end: {first:.4f}", rf"Epoch 1/2  {bar}",
        *said, rf"at the end: {second:.4f}", rf"Epoch 2/2  {bar}",
    )  # fmt: skip


def test_callbacks_that_say_what_they_do(monkeypatch, tmp_path):
    callbacks = [
        ReduceLROnPlateau("loss", patience=1, min_delta=9, verbose=1),
        EarlyStopping("loss", patience=2, min_delta=9, verbose=1),
    ]
    with watched(monkeypatch, 100) as screen:
        classifier().fit(X, Y, batch_size=4, epochs=9, verbose=1, callbacks=callbacks)
    matches(
        screen.lines,
        r"Epoch 1/9  ━+  10/10 .*",
        r"Epoch 2: learning rate from 0.001 to 0.0001\.",
        r"Epoch 2/9  ━+  10/10  [^_]*",
        r"Epoch 3: learning rate from 0.0001 to 1e-05\.",
        r"Epoch 3/9  ━+  10/10 .*  learning_rate 0.0001",  # the rate it was trained with, since that is new
        r"Epoch 3: stopped early; loss was .* at best\.",
    )


def test_warnings_come_above_the_bar(monkeypatch):
    warn = LambdaCallback(on_epoch_end=lambda epoch, logs: warnings.warn("careful", UserWarning, stacklevel=1))
    with watched(monkeypatch, 80) as screen, warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
        classifier().fit(X, Y, batch_size=4, verbose=1, callbacks=[warn])
    matches(screen.lines, "warning: careful", r"Epoch 1/1  ━+ .*")


def test_an_evaluation_within_training(monkeypatch):
    class Evaluate(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(X, Y, batch_size=4, verbose=1)

    with watched(monkeypatch, 80) as screen:
        classifier().fit(X, Y, batch_size=4, verbose=1, callbacks=[Evaluate()])
    line = rf"━+  10/10  {T}  loss {V}  accuracy {V}"
    matches(screen.lines, rf"Evaluate  {line}", rf"Epoch 1/1  {line}")


def test_evaluate_and_predict(monkeypatch):
    model = classifier()
    with watched(monkeypatch, 80) as screen:
        loss, accuracy = model.evaluate(X, Y, batch_size=4, verbose=1)
        model.predict(X, batch_size=4, verbose=1)
    assert screen.lines[0].endswith(f"loss {loss:.4f}  accuracy {accuracy:.4f}")
    matches(screen.lines, rf"Evaluate  ━+  10/10  {T} .*", rf"Predict  ━+  10/10  {T}")


def test_unknown_totals(monkeypatch):
    with watched(monkeypatch, 80) as screen:
        classifier().fit(((X[:8], Y[:8]) for _ in range(7)), verbose=1)
        classifier().fit([(X[:8], Y[:8])] * 3, epochs=2, steps_per_epoch=2, verbose=1)
    matches(
        screen.lines,
        rf"Epoch 1/1  7 batches  {T}  loss {V}  accuracy {V}",
        rf"Epoch 1/2  ━+  2/2  {T}  loss {V}  accuracy {V}",
        rf"Epoch 2/2  ━+  2/2  {T}  loss {V}  accuracy {V}",
    )


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_streams_are_given_back_after_an_error(monkeypatch, error):
    def fail(batch, logs):
        if batch == 4:
            raise error

    with watched(monkeypatch, 80) as screen:
        streams = sys.stdout, sys.stderr
        with pytest.raises(error):
            classifier().fit(X, Y, batch_size=4, verbose=1, callbacks=LambdaCallback(on_train_batch_end=fail))
        assert (sys.stdout, sys.stderr) == streams
        print("afterwards")
    matches(screen.lines, rf"Epoch 1/1  ━+─+  +4/10  {T}.*", "afterwards")


def test_streams_are_borrowed_only_while_training(monkeypatch):
    seen = []
    look = LambdaCallback(on_epoch_end=lambda *_: seen.append(isinstance(sys.stdout, PrintAbove)))
    quiet = LambdaCallback(on_test_end=lambda *_: seen.append(isinstance(sys.stdout, PrintAbove)))
    with watched(monkeypatch, 80):
        classifier().fit(X, Y, verbose=1, callbacks=[look])
        classifier().evaluate(X, Y, verbose=1, callbacks=[quiet])
        assert not isinstance(sys.stdout, PrintAbove)
    assert seen == [True, False]


def test_what_waits_for_an_answer_is_seen(monkeypatch):
    shown = []

    def ask(batch, logs):
        if batch == 2:
            print("go on? ", end="", flush=True)
            shown.append(sys.stdout.isatty())
            print("yes")

    with watched(monkeypatch, 80) as screen:
        classifier().fit(X, Y, batch_size=4, verbose=1, callbacks=LambdaCallback(on_train_batch_end=ask))
    assert shown == [True]
    matches(screen.lines, r"go on\? yes", r"Epoch 1/1  ━+  10/10 .*")


def test_dots_of_a_callback_stay_together(monkeypatch):
    def dot(batch, logs):
        time.sleep(0.03)
        print(".", end="", flush=True)

    with watched(monkeypatch, 80) as screen:
        classifier().fit(X, Y, batch_size=4, verbose=1, callbacks=LambdaCallback(on_train_batch_end=dot))
    matches(screen.lines, r"\.{10}", r"Epoch 1/1  ━+  10/10 .*")


def test_a_terminal_without_unicode(monkeypatch):
    with watched(monkeypatch, 80, encoding="ascii") as screen:
        classifier().fit(X, Y, batch_size=4, verbose=1, callbacks=ReduceLROnPlateau("loss", patience=0, verbose=1))
    matches(screen.lines, rf"Epoch 1/1  #+  10/10  {T} .*")


def test_workers_print_as_they_are(monkeypatch):
    with watched(monkeypatch, 80) as screen:
        from easyconv.callbacks.places import TerminalLine

        line = TerminalLine(keep_prints_apart=True)
        guard = sys.stdout
        monkeypatch.setattr("easyconv.callbacks.places.os.getpid", lambda: -1)
        guard.write("from a worker\n")
        monkeypatch.undo()
        line.close("done")
    assert screen.lines == ["from a worker", "done"]


def test_no_thread_and_no_bar_is_left(monkeypatch):
    import threading

    from tqdm import tqdm

    before = set(threading.enumerate())
    with watched(monkeypatch, 80):
        opened = set(threading.enumerate())
        classifier().fit(X, Y, verbose=1)
        classifier().evaluate(X, Y, verbose=1)
        assert set(threading.enumerate()) <= opened
    assert set(threading.enumerate()) <= before
    assert not list(tqdm._instances)


def test_a_real_terminal_and_a_pipe(tmp_path):
    """``verbose="auto"`` in a process of its own: a bar as wide as its terminal, plain lines in a pipe."""
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent(
            """
            import torch, easyconv as ec
            x, y = torch.randn(40, 4), torch.arange(40) % 3
            model = ec.Sequential([ec.layers.Dense(3)])
            model.compile("sgd", metrics=["accuracy"])
            model.fit(x, y, batch_size=4, epochs=2, validation_data=(x, y))
            model.evaluate(x, y)
            model.predict(x)
            """
        )
    )
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    environment |= {"PYTHONUTF8": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    process = subprocess.Popen([sys.executable, script], stdin=slave, stdout=slave, stderr=slave, env=environment)
    piped = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, env=environment, check=True)
    os.close(slave)
    received = b""
    while chunk := _read(master):
        received += chunk
    assert process.wait(60) == 0
    os.close(master)

    screen = Screen(100)
    screen.feed(received.decode())
    line = rf"10/10  {T}  loss {V}  accuracy {V}  val_loss {V}  val_accuracy {V}"
    matches(
        screen.lines,
        rf"Epoch 1/2  (━+  )?{line}",
        rf"Epoch 2/2  (━+  )?{line}",
        rf"Evaluate  ━+  2/2  {T}  loss {V}  accuracy {V}",
        rf"Predict  ━+  2/2  {T}",
    )
    assert not screen.wrapped

    text = piped.stdout.decode()
    assert all(character == "\n" or character.isprintable() for character in text)
    line = rf"{T}  loss {V}  accuracy {V}  val_loss {V}  val_accuracy {V}"
    matches(text.splitlines(), rf"Epoch 1/2  {line}", rf"Epoch 2/2  {line}", rf"Evaluate  {T}  loss {V}  accuracy {V}")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


def test_verbose_levels(capsys):
    classifier().fit(X, Y, verbose=0)
    assert capsys.readouterr() == ("", "")
    classifier().fit(X, Y, epochs=2, verbose=2)
    matches(capsys.readouterr().out.splitlines(), *[rf"Epoch {n}/2  {T}  loss {V}  accuracy {V}" for n in (1, 2)])
    classifier().fit(X, Y, verbose="auto")
    assert "\r" not in capsys.readouterr().out
    for wrong in (3, -1, "yes", None, 1.0):
        with pytest.raises(ec.errors.ArgumentError, match="verbose"):
            classifier().fit(X, Y, verbose=wrong)


def test_lines_show_other_things_that_are_numbers(capsys):
    extra = {"t": torch.tensor(0.5), "n": 3, "word": "hello", "many": torch.zeros(3)}
    log = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(extra))
    classifier().fit(X, Y, verbose=2, callbacks=[log])
    assert capsys.readouterr().out.endswith("  t 0.5000  n 3\n")


class Notebook:
    """As much of IPython as the bar uses."""

    def __init__(self):
        self.cells = []
        notebook = self

        class ZMQInteractiveShell:
            pass

        class Shell(ZMQInteractiveShell):  # Colab's shell is a subclass
            pass

        class Handle:
            def __init__(self, index):
                self.index = index

            def update(self, content, raw):
                notebook.cells[self.index].append(content["text/plain"])

        def display(content, raw, display_id):
            notebook.cells.append([content["text/plain"]])
            return Handle(len(notebook.cells) - 1)

        self.get_ipython = Shell
        self.display = display


def test_in_a_notebook(monkeypatch, capsys):
    notebook = Notebook()
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    say = LambdaCallback(on_epoch_end=lambda epoch, logs: print("said"))
    classifier().fit(X, Y, batch_size=4, epochs=2, validation_data=(X, Y), callbacks=[say])
    assert capsys.readouterr().out == "said\nsaid\n"
    line = rf"(━+  )?10/10  {T}  loss {V}  accuracy {V}  val_loss {V}  val_accuracy {V}"
    matches([cell[-1] for cell in notebook.cells], rf"Epoch 1/2  {line}", rf"Epoch 2/2  {line}")
    assert all(len(cell) >= 2 for cell in notebook.cells)
