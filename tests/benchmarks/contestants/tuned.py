"""The best loop that we can write by hand in plain PyTorch.

Pictures are read once and kept as tensors; one permutation per epoch, whole batches gathered (and cropped and mirrored)
at once; sums stay tensors until the end; channels last; the fused optimizer.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.datasets import Images, Pictures
from benchmarks.recipes import Recipe, normalized, triangle
from benchmarks.workloads import LR, MOMENTUM, Score, Task

Batches = Callable[[], Iterator[tuple[Tensor, Tensor]]]


def train(task: Task, *, bf16: bool = False) -> Callable[[], Score]:
    net = task.make_net().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=MOMENTUM, fused=True)
    batches = _batches(task)

    def epoch() -> Score:
        net.train()
        running_loss, correct = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for inputs, labels in batches():
            optimizer.zero_grad(set_to_none=True)
            with _precision(bf16):
                outputs = net(inputs)
                loss = F.cross_entropy(outputs, labels)
            loss.backward()
            optimizer.step()
            running_loss.add_(loss.detach(), alpha=len(labels))
            correct += (outputs.argmax(1) == labels).sum()
        return Score(running_loss.item() / len(task.targets), correct.item() / len(task.targets))

    return epoch


def predict(task: Task, *, bf16: bool = False) -> Callable[[], np.ndarray]:
    net = task.make_net().eval().to(memory_format=torch.channels_last)
    x, _ = task.dataset.tensors

    def once() -> np.ndarray:
        with torch.inference_mode(), _precision(bf16):
            return torch.cat([net(part) for part in x.split(128)]).float().numpy()

    return once


def learn(recipe: Recipe, images: Images) -> nn.Module:
    x, y = images.x, images.y
    net = recipe.make_net(x).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(recipe.groups(net), lr=recipe.peak, momentum=0.9, nesterov=True, fused=True)
    steps = recipe.steps
    indices = _endless(len(x), recipe.batch_size)
    for step in range(steps):
        index = next(indices)
        for group in optimizer.param_groups:
            group["lr"] = triangle(step, steps, recipe)
        optimizer.zero_grad(set_to_none=True)
        inputs = normalized(x.index_select(0, index), recipe.data).contiguous(memory_format=torch.channels_last)
        with _precision(True):
            loss = F.cross_entropy(net(inputs), y.index_select(0, index), label_smoothing=recipe.smoothing)
        loss.backward()
        optimizer.step()
    return net


def _precision(bf16: bool) -> AbstractContextManager[object]:
    return torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext()


def _endless(rows: int, batch_size: int) -> Iterator[Tensor]:
    while True:
        yield from torch.randperm(rows).split(batch_size)


def _batches(task: Task) -> Batches:
    if task.as_loader:
        return lambda: iter(task.loader())
    x, y = task.arrays or _read(task.dataset)
    augmented = isinstance(task.dataset, Pictures) and task.dataset.augment

    def gathered() -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(x)) if task.shuffle else torch.arange(len(x))
        for index in order.split(task.batch_size):
            inputs = x.index_select(0, index)
            inputs = _crop_and_flip(inputs) if augmented else inputs
            yield _laid_out(inputs), y.index_select(0, index)

    return gathered


def _read(pictures: Pictures) -> tuple[Tensor, Tensor]:
    """All pictures as the transforms leave them, without the random ones."""
    still = pictures
    if pictures.augment:
        name = "cifar10" if pictures.images.shape[1] == 3 else "mnist"
        still = Pictures(pictures.images, pictures.targets, name)
    return torch.stack([still[row][0] for row in range(len(still))]), pictures.targets


def _laid_out(inputs: Tensor) -> Tensor:
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.dim() == 4 else inputs


def _crop_and_flip(images: Tensor, padding: int = 4) -> Tensor:
    """Each image shifted by up to ``padding`` and mirrored with probability one half, drawn for itself."""
    rows, _, height, width = images.shape
    padded = F.pad(images, (padding,) * 4)
    top, left = torch.randint(0, 2 * padding + 1, (2, rows, 1))
    down, right = top + torch.arange(height), left + torch.arange(width)
    right = torch.where(torch.rand(rows, 1) < 0.5, right, right.flip(1))
    chosen = padded.permute(0, 2, 3, 1)[torch.arange(rows).view(-1, 1, 1), down[:, :, None], right[:, None, :]]
    return chosen.permute(0, 3, 1, 2)
