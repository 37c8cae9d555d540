"""The table of nets in ``docs/zoo.md``: made today, complete, and near to what is published."""

import importlib.util
import sys
from pathlib import Path

import pytest

from easyconv import zoo

SCRIPT = Path(__file__).parents[2] / "docs" / "zoo_table.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("zoo_table", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["zoo_table"] = module  # data classes look themselves up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules["zoo_table"]


@pytest.fixture(scope="module")
def counted(script):
    return [(entry, script.count(entry)) for entry in script.TABLE]


@pytest.fixture(scope="module")
def as_in_the_paper(script):
    """The residual nets that step in their 1x1 convolutions, as the paper has them."""
    nets = ("resnet50", "resnet101", "resnet152")
    return [script.count(script.Entry(net, "", arguments={"stride_at": "1x1"})) for net in nets]


def test_the_table_on_the_page_is_what_the_script_makes(script, counted):
    page = script.PAGE.read_text(encoding="utf-8")
    assert script.with_table(page, [ours for _, ours in counted]) == page, "run `make zoo`"


def test_every_net_has_a_row(script):
    nets = {name for name in zoo.__all__ if name.islower()}
    assert {entry.net for entry in script.TABLE} == nets
    assert len({entry.call for entry in script.TABLE}) == len(script.TABLE)


def test_ours_are_the_published_numbers_or_a_note_says_why_not(counted):
    for entry, ours in counted:
        for published, value in ((entry.parameters, ours.parameters), (entry.multiply_adds, ours.multiply_adds)):
            if published is None or entry.notes:
                continue
            # Papers print two digits; torchvision prints all parameters, and two decimals of multiply-adds.
            exact = published.source == "tv" and "," in published.text
            assert value == pytest.approx(published.value, rel=0 if exact else 0.02), entry.call


def test_a_note_does_not_excuse_everything(counted):
    for entry, ours in counted:
        for published, value in ((entry.parameters, ours.parameters), (entry.multiply_adds, ours.multiply_adds)):
            assert published is None or value == pytest.approx(published.value, rel=0.15), entry.call


def test_receptive_fields_of_araujo_norris_and_sim(counted, as_in_the_paper):
    found = {entry.call: ours.receptive_field for entry, ours in counted}
    assert (found["alexnet"], found["vgg16"], found["inception_v3"]) == (195, 212, 1311)
    assert [ours.receptive_field for ours in as_in_the_paper] == [483, 1027, 1507]


def test_the_note_on_residual_nets_is_right(script, as_in_the_paper):
    for ours, giga in zip(as_in_the_paper, ("3.86", "7.57", "11.28"), strict=True):
        assert f"{ours.multiply_adds / 1e9:.2f}" == giga
        assert f"{giga} G" in script.STRIDE


def test_one_convolution_makes_the_difference_to_googlenets_table(counted):
    ours = next(count for entry, count in counted if entry.call == "googlenet(aux=False)")
    first = 64 * 7 * 7 * 3 * 112 * 112
    assert (ours.multiply_adds - first) / 1e6 == pytest.approx(1502 - 34, rel=0.005)
