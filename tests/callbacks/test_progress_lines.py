"""What a line of progress says, and that it fits."""

import time

import pytest

from easyconv.callbacks.lines import Pass, final_text, format_logs, format_value, plain_line, running_line

TRAIN = {"loss": 0.12344, "accuracy": 0.98765}
ROW = {**TRAIN, "val_loss": 0.2345, "val_accuracy": 0.9512}
TWO = {"loss": 0.1234, "accuracy": 0.9876, "top5": 0.999, "val_loss": 0.2, "val_accuracy": 0.9, "val_top5": 0.95}


def a_pass(done=469, total=469, values=None, seconds=1.23, note="", title="Epoch  3/10"):
    return Pass(title, total, done, values or {}, note, time.perf_counter() - seconds)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0000"),
        (0.00099, "9.90e-04"),
        (-0.5, "-0.5000"),
        (99999.0, "99999.0000"),
        (1e5, "1.00e+05"),
        (7, "7"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (True, "True"),
    ],
)
def test_values(value, text):
    assert format_value(value) == text


def test_rates_are_short():
    assert format_logs({"learning_rate": 1e-3}) == "learning_rate 0.001"
    assert format_logs({"learning_rate": 3.3333333e-5}) == "learning_rate 3.33e-05"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0s"), (9.94, "9.9s"), (9.96, "10s"), (59.4, "59s"), (59.6, "1m00s"), (3599, "59m59s"), (7384, "2h03m")],
)
def test_durations(seconds, text):
    assert plain_line(a_pass(seconds=seconds)).split()[-1] == text


def test_plain_lines_have_everything_however_long():
    assert plain_line(a_pass(values=TWO)) == (
        "Epoch  3/10  1.2s  loss 0.1234  accuracy 0.9876  top5 0.9990  "
        "val_loss 0.2000  val_accuracy 0.9000  val_top5 0.9500"
    )


def test_running_lines():
    line = running_line(a_pass(230, values=TRAIN), 99)
    assert line.startswith("Epoch  3/10  ━━━━━━━━━━")
    assert line.endswith("  230/469  1.2s  1.3s left  loss 0.1234  accuracy 0.9877")
    assert line.count("━") == (line.count("━") + line.count("─")) * 230 // 469


def test_the_first_moment():
    assert running_line(a_pass(0, seconds=0.0), 79) == "Epoch  3/10  " + "─" * 30 + "    0/469  0.0s"


def test_unknown_totals_count_batches():
    assert running_line(a_pass(1, None, TRAIN), 79) == "Epoch  3/10  1 batch  1.2s  loss 0.1234  accuracy 0.9877"
    assert final_text(a_pass(7, None, TRAIN), 79) == "Epoch  3/10  7 batches  1.2s  loss 0.1234  accuracy 0.9877"


def test_a_total_that_is_too_small_does_no_harm():
    assert "12/10" in running_line(a_pass(12, 10), 79)
    assert "0/0" in running_line(a_pass(0, 0), 79)


def test_validating_is_said():
    assert "validating 12  loss" in running_line(a_pass(values=TRAIN, note="validating 12"), 99)


def test_only_the_characters_that_the_stream_has():
    assert "#" in running_line(a_pass(230), 79, ascii_only=True)
    assert running_line(a_pass(230), 79, ascii_only=True).isascii()
    assert final_text(a_pass(values=ROW), 120, ascii_only=True).isascii()


@pytest.mark.parametrize("width", [*range(20, 130, 3), 200])
@pytest.mark.parametrize("values", [{}, TRAIN, ROW, TWO])
def test_running_lines_never_wrap(width, values):
    for done, total in [(0, 469), (230, 469), (469, 469), (230, None)]:
        line = running_line(a_pass(done, total, values), width)
        assert len(line) <= width
        assert "\n" not in line


@pytest.mark.parametrize("width", range(45, 130))
@pytest.mark.parametrize("values", [TRAIN, ROW, TWO, {**TWO, "learning_rate": 0.1, "val_alone": 3.0}])
def test_final_texts_fit_and_have_every_value(width, values):
    text = final_text(a_pass(values=values), width)
    assert max(map(len, text.splitlines())) <= width
    for name, value in values.items():
        assert format_value(value, name) in text
        assert name.removeprefix("val_") in text
    assert "1.2s" in text


def test_final_texts_at_the_usual_widths():
    assert final_text(a_pass(values=ROW), 79) == (
        "Epoch  3/10  469/469  1.2s  loss 0.1234 val 0.2345  accuracy 0.9877 val 0.9512"
    )
    assert final_text(a_pass(values=ROW), 119) == (
        "Epoch  3/10  ━━━━━━━━━━━━━━━━━━━━━━━  469/469  1.2s  loss 0.1234  accuracy 0.9877  "
        "val_loss 0.2345  val_accuracy 0.9512"
    )
    assert final_text(a_pass(values=TWO), 79).splitlines() == [
        "Epoch  3/10  1.2s  loss 0.1234  accuracy 0.9876  top5 0.9990",
        "              val       0.2000           0.9000       0.9500",
    ]


def test_many_metrics_are_drawn_in_groups():
    many = {f"metric{i}": i / 10 for i in range(6)}
    text = final_text(a_pass(values={**many, **{f"val_{name}": value + 0.5 for name, value in many.items()}}), 79)
    assert text.splitlines() == [
        "Epoch  3/10  1.2s  metric0 0.0000  metric1 0.1000  metric2 0.2000",
        "              val          0.5000          0.6000          0.7000",
        "                   metric3 0.3000  metric4 0.4000  metric5 0.5000",
        "              val          0.8000          0.9000          1.0000",
    ]
