"""Make the table of nets in zoo.md: ours, counted on nets without memory, beside what is published.

Run it with ``make zoo``. The published numbers are literals, each with its source.
"""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import easyconv as ec

PAGE = Path(__file__).with_name("zoo.md")
BEGIN, END = "<!-- made by zoo_table.py: begin -->", "<!-- made by zoo_table.py: end -->"

LENET = "[LeCun et al. 1998](https://doi.org/10.1109/5.726791)"
ALEXNET = "[Krizhevsky et al. 2012](https://doi.org/10.1145/3065386)"
ONE_TOWER = "[Krizhevsky 2014](https://arxiv.org/abs/1404.5997)"
ZFNET = "[Zeiler, Fergus 2014](https://arxiv.org/abs/1311.2901)"
VGG = "[Simonyan, Zisserman 2015](https://arxiv.org/abs/1409.1556)"
GOOGLENET = "[Szegedy et al. 2015](https://arxiv.org/abs/1409.4842)"
INCEPTION_V3 = "[Szegedy et al. 2016](https://arxiv.org/abs/1512.00567)"
RESNET = "[He et al. 2016](https://arxiv.org/abs/1512.03385)"
PREACT = "[He et al. 2016, ECCV](https://arxiv.org/abs/1603.05027)"
DENSENET = "[Huang et al. 2017](https://arxiv.org/abs/1608.06993)"
MOBILENET_V2 = "[Sandler et al. 2018](https://arxiv.org/abs/1801.04381)"
COURSE = "a first course"

NONE = "\N{EN DASH}"
TORCHVISION = "tv"
"""The table of weights in torchvision's documentation; every other number is in the paper of its row, unless a note
says where it is from."""


@dataclass(frozen=True)
class Published:
    """A number that somebody has published: its value, as it is printed there, and where."""

    value: float
    text: str
    source: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.source}".rstrip()


@dataclass(frozen=True)
class Entry:
    """A row of the table; the notes say why ours are not what is published."""

    net: str
    paper: str
    parameters: Published | None = None
    multiply_adds: Published | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def call(self) -> str:
        """What to write, as code."""
        options = ", ".join(f"{key}={value!r}".replace("'", '"') for key, value in self.arguments.items())
        return f"{self.net}({options})" if options else self.net


@dataclass(frozen=True)
class Counted:
    """What is counted on our net."""

    input_shape: tuple[Any, ...]
    parameters: int
    multiply_adds: int
    receptive_field: int
    jump: int


def tv(parameters: int) -> Published:
    """A number of parameters in torchvision's documentation."""
    return Published(parameters, f"{parameters:,}", TORCHVISION)


def tv_billion(value: float) -> Published:
    """Multiply-adds in torchvision's documentation, which calls them GFLOPS."""
    return Published(value * 1e9, f"{value:.2f} G", TORCHVISION)


def million(value: float, text: str | None = None) -> Published:
    """A number of the paper's, in millions."""
    return Published(value * 1e6, text or f"{value:g} M")


def billion(value: float, text: str | None = None) -> Published:
    """A number of the paper's, in billions."""
    return Published(value * 1e9, text or f"{value:g} G")


CONNECTIONS = """The paper counts connections, which are the additions of biases too, and each of the four pixels that a
subsampling adds up; ours are the multiplications. Its fixed output codes are no parameters."""
CAFFE = "The multiply-adds are those that Howard et al., *MobileNets* (2017), table 9, give for AlexNet."
GOOGLENET_TABLE = """Sums of the columns of table 1. It gives the first convolution 34 M multiply-adds; 64 filters of
7x7x3 at 112x112 places are 118 M. It leaves biases out, and its K are partly 1,024."""
GOOGLENET_HEADS = "With the two heads, which are there in training only and are not among the multiply-adds."
GOOGLENET_3X3 = "Torchvision has 3x3 convolutions where the paper has 5x5 (issue 906 of its repository)."
INCEPTION_RELEASED = """The abstract says “5 billion” and “less than 25 million”. The net that Google released, which
torchvision and we have, is not quite that of the paper's table 1: see the notes of `inception_v3`."""
STRIDE = """The paper steps in the first 1x1 convolution of a stage, torchvision and we in the 3x3 convolution;
`stride_at="1x1"` gives 3.86 G, 7.57 G and 11.28 G for 50, 101 and 152 layers."""
MOBILENET_ROUNDED = "The layers of the paper's table 2 add up to 3.5 M, as in torchvision; its table 4 says 3.4 M."

TABLE = [
    Entry(
        "lenet5",
        LENET,
        Published(60_000, "60,000"),
        Published(340_908, "340,908 connections"),
        notes=(CONNECTIONS,),
    ),
    Entry("lenet5", LENET, arguments={"modern": True}),
    Entry("alexnet", ALEXNET, million(60), million(720), notes=(CAFFE,)),
    Entry("alexnet", ONE_TOWER, tv(61_100_840), tv_billion(0.71), arguments={"version": "torchvision"}),
    Entry("zfnet", ZFNET),
    Entry("zfnet", ZFNET, arguments={"wide": True}),
    Entry("vgg11", VGG, million(133), tv_billion(7.61)),
    Entry("vgg13", VGG, million(133), tv_billion(11.31)),
    Entry("vgg16", VGG, million(138), tv_billion(15.47)),
    Entry("vgg16", VGG, tv(138_365_992), tv_billion(15.47), arguments={"batch_norm": True}),
    Entry("vgg19", VGG, million(144), tv_billion(19.63)),
    Entry(
        "googlenet",
        GOOGLENET,
        million(6.798, "6.8 M"),
        billion(1.502, "1.5 G"),
        arguments={"aux": False},
        notes=(GOOGLENET_TABLE,),
    ),
    Entry("googlenet", GOOGLENET, notes=(GOOGLENET_HEADS,)),
    Entry(
        "googlenet",
        GOOGLENET,
        tv(6_624_904),
        tv_billion(1.50),
        arguments={"version": "torchvision", "aux": False},
        notes=(GOOGLENET_3X3,),
    ),
    Entry(
        "inception_v3",
        INCEPTION_V3,
        million(25, "< 25 M"),
        billion(5),
        arguments={"aux": False},
        notes=(INCEPTION_RELEASED,),
    ),
    Entry("inception_v3", INCEPTION_V3, tv(27_161_264), tv_billion(5.71)),
    Entry("resnet18", RESNET, tv(11_689_512), billion(1.8)),
    Entry("resnet34", RESNET, tv(21_797_672), billion(3.6)),
    Entry("resnet50", RESNET, tv(25_557_032), billion(3.8), notes=(STRIDE,)),
    Entry("resnet101", RESNET, tv(44_549_160), billion(7.6), notes=(STRIDE,)),
    Entry("resnet152", RESNET, tv(60_192_808), billion(11.3), notes=(STRIDE,)),
    Entry("preact_resnet18", PREACT),
    Entry("densenet121", DENSENET, tv(7_978_856), tv_billion(2.83)),
    Entry("mobilenet_v2", MOBILENET_V2, million(3.4), million(300), notes=(MOBILENET_ROUNDED,)),
    Entry("resnet20", RESNET, million(0.27)),
    Entry("resnet32", RESNET, million(0.46)),
    Entry("resnet44", RESNET, million(0.66)),
    Entry("resnet56", RESNET, million(0.85)),
    Entry("resnet110", RESNET, million(1.7)),
    Entry("mnist_cnn", COURSE),
    Entry("mnist_googlenet", COURSE),
    Entry("mnist_resnet", COURSE),
    Entry("cifar_cnn", COURSE),
    Entry("cifar_vgg", COURSE),
]


def count(entry: Entry) -> Counted:
    """Make the net, of shapes alone, and look at its summary."""
    with torch.device("meta"):
        net = getattr(ec.zoo, entry.net)(**entry.arguments)
    with contextlib.redirect_stdout(io.StringIO()):
        table = net.summary(depth=9)
    # The last map of features is the one that sees most; behind it positions are averaged or flattened.
    size, jump = max((row.receptive_field, row.jump) for row in table.rows if isinstance(row.receptive_field, tuple))
    return Counted(table.input_shape[1:], table.parameters, table.multiply_adds, size[0], jump[0])


def make_table(counted: Sequence[Counted]) -> str:
    """The table and its notes, as Markdown, from what is counted on the net of each row."""
    heads = ("net", "paper", "input", "parameters", "published", "multiply-adds", "published", "field", "jump")
    numbers: dict[str, int] = {}
    lines = [_line(heads), _line(("---",) * 3 + ("--:",) * 6)]
    lines += [_line(_cells(entry, ours, numbers)) for entry, ours in zip(TABLE, counted, strict=True)]
    notes = [f"{number}. {' '.join(note.split())}" for note, number in numbers.items()]
    return "\n".join([*lines, "", *notes])


def _cells(entry: Entry, ours: Counted, numbers: dict[str, int]) -> tuple[str, ...]:
    marks = [numbers.setdefault(note, len(numbers) + 1) for note in entry.notes]
    return (
        f"`{entry.call}`" + "".join(f" <sup>{mark}</sup>" for mark in marks),
        entry.paper,
        "\N{MULTIPLICATION SIGN}".join(map(str, ours.input_shape)),
        f"{ours.parameters:,}",
        str(entry.parameters or NONE),
        _short(ours.multiply_adds),
        str(entry.multiply_adds or NONE),
        str(ours.receptive_field),
        str(ours.jump),
    )


def _short(work: int) -> str:
    """Billions and millions with three digits, fewer in full."""
    if work >= 1e9:
        return f"{work / 1e9:.2f} G"
    return f"{work / 1e6:.1f} M" if work >= 1e6 else f"{work:,}"


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def with_table(page: str, counted: Sequence[Counted]) -> str:
    """The same page with this table in it."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{make_table(counted)}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    found = [count(entry) for entry in TABLE]
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    print(f"{len(TABLE)} nets counted; the table is in {PAGE}.")
