"""Which labels count as sorted."""

import pytest
import torch

from easyconv.data.sources.order import is_grouped


@pytest.mark.parametrize(
    ("labels", "grouped"),
    [([0, 0, 1, 1], True), ([2, 2, 0, 0, 1], True), ([0, 1, 0], False), ([0, 0], False), ([1, 0], True)],
)
def test_grouped(labels, grouped):
    assert is_grouped(torch.tensor(labels)) is grouped
