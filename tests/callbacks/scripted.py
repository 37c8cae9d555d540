"""A model whose validation follows a script, and whose one weight tells how many epochs it has been trained for."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import easyconv as ec

NAN = float("nan")


class Scripted(ec.Model):
    """Each training step adds 1 to ``mark``; each validation takes the next value of the script."""

    def __init__(self, values: Iterable[float], metric: str | None = None) -> None:
        super().__init__()
        self.mark = nn.Parameter(torch.zeros(1))
        self.rectify = nn.ReLU()
        self.script = list(values)
        self.metric = metric
        self.compile("sgd", "mse", lr=1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.rectify(x * self.mark)

    def train_step(self, batch: Any) -> dict[str, Tensor]:
        with torch.no_grad():
            self.mark += 1
        return {"loss": torch.tensor(1.0)}

    def test_step(self, batch: Any) -> dict[str, Tensor]:
        value = torch.tensor(self.script.pop(0), dtype=torch.float64)
        return {"loss": value} if self.metric is None else {"loss": torch.tensor(0.0), self.metric: value}

    @property
    def trained(self) -> int:
        """Epochs that the present weights have seen."""
        return int(self.mark.item())


def data(rows: int = 4) -> tuple[Tensor, Tensor]:
    return torch.ones(rows, 1), torch.ones(rows, 1)


def scripted_fit(
    values: Sequence[float], *callbacks: ec.callbacks.Callback, metric: str | None = None, **arguments: Any
) -> tuple[Scripted, ec.History]:
    """Train with one batch per epoch, for as many epochs as there are values unless told otherwise."""
    model = Scripted(values, metric)
    arguments = {"epochs": len(values), "validation_data": data(), "verbose": 0, **arguments}
    return model, model.fit(*data(), callbacks=list(callbacks), **arguments)
