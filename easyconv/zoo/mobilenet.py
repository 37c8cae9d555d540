"""MobileNet v2: few multiplications, by blocks that widen, look at each channel by itself, and narrow."""

from torch import nn

from easyconv.arguments import check_flag, check_number
from easyconv.errors import ArgumentError
from easyconv.layers import Conv2D, Dense, GlobalAvgPool2D, InvertedResidual
from easyconv.layers.blocks.separable import with_relu6
from easyconv.layers.initializers import InitLike
from easyconv.model import Sequential
from easyconv.zoo.checks import check_net, net_words
from easyconv.zoo.initial import choose_init, he_and_small_dense
from easyconv.zoo.pretrained import check_weights, load_imagenet

__all__ = ["mobilenet_v2"]

# Table 2: n blocks of c channels, widened t times between; the first of them has stride s.
ROWS = (
    # t, c, n, s
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
SMALL_ROWS = (ROWS[0], (6, 24, 2, 1), *ROWS[2:])


@net_words
def mobilenet_v2(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    small: bool = False,
    width_mult: float = 1.0,
    dropout: float = 0.2,
    init: InitLike = "paper",
    weights: str | None = None,
) -> Sequential:
    """MobileNet v2 (Sandler, Howard, Zhu, Zhmoginov and Chen, 2018), for images of 224x224.

    =================  =======================================  ============  ==========
    layers             what they do                             output        parameters
    =================  =======================================  ============  ==========
    features.0         32 maps, 3x3, stride 2                   32@112x112    928
    features.1         bottleneck, t = 1                        16@112x112    896
    features.2-3       2 bottlenecks, t = 6, stride 2           24@56x56      13,968
    features.4-6       3 bottlenecks, t = 6, stride 2           32@28x28      39,696
    features.7-10      4 bottlenecks, t = 6, stride 2           64@14x14      183,872
    features.11-13     3 bottlenecks, t = 6                     96@14x14      303,168
    features.14-16     3 bottlenecks, t = 6, stride 2           160@7x7       795,264
    features.17        bottleneck, t = 6                        320@7x7       473,920
    features.18        1280 maps, 1x1                           1280@7x7      412,160
    pool, classifier   global average pooling, dropout, dense   1000          1,281,000
    =================  =======================================  ============  ==========

    Parameters
    ----------
    num_classes : int, default 1000
        Number of classes.
    in_channels : int, default 3
        Channels of the images.
    small : bool, default False
        For images of 28x28 and 32x32: the first convolution and features.2 have stride 1, as is usual for CIFAR. The
        parameters are the same.
    width_mult : float, default 1.0
        How many times more channels there are, rounded to multiples of 8; the last 1280 do not become fewer.
    dropout : float, default 0.2
        Before the dense layer.
    init : str or callable, default "paper"
        Initial weights. ``"paper"`` is He's by the outputs of a unit for convolutions and a normal distribution of
        standard deviation 0.01 for the dense layer, with a bias of zero, as torchvision has it.
    weights : {"imagenet"}, optional
        Torchvision's trained weights.

    Returns
    -------
    Sequential
        The net, built: ``features``, ``pool`` and ``classifier``. Its ``state_dict`` is torchvision's of
        ``mobilenet_v2``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or there are no trained weights for such a net.

    Notes
    -----
    The paper's table ends with a 1x1 convolution of the pooled maps, which is a dense layer. Rate of the
    dropout and initial weights are not in the paper; they are torchvision's.

    References
    ----------
    Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
    tables 1 and 2; section 4, "Trade-off hyper parameters", for ``width_mult``.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = mobilenet_v2()
    >>> net.count_params()
    3504872
    """
    check_net(num_classes, in_channels)
    check_flag("small", small)
    check_number("width_mult", width_mult, above=0)
    check_number("dropout", dropout, minimum=0, below=1)
    check_weights(weights, in_channels=in_channels, small=small)
    if weights is not None and width_mult != 1:
        raise ArgumentError(f"weights={weights!r} is for width_mult=1.0, got width_mult={width_mult!r}.")
    net = Sequential(
        [
            ("features", _features(width_mult, small)),
            ("pool", GlobalAvgPool2D()),
            ("classifier", nn.Sequential(nn.Dropout(dropout), Dense(num_classes))),
        ],
        input_shape=(in_channels, 32, 32) if small else (in_channels, 224, 224),
        name="mobilenet_v2",
        init=choose_init(init, he_and_small_dense),
    )
    return load_imagenet(net, "mobilenet_v2", head="classifier.1", weights=weights)


def _features(width_mult: float, small: bool) -> nn.Sequential:
    layers = [with_relu6(Conv2D(_divisible(32 * width_mult), 3, stride=1 if small else 2, padding=1, bias=False))]
    blocks = [
        InvertedResidual(_divisible(c * width_mult), stride=s if first else 1, expansion=t)
        for t, c, n, s in (SMALL_ROWS if small else ROWS)
        for first in [True] + [False] * (n - 1)
    ]
    last = with_relu6(Conv2D(_divisible(1280 * max(1.0, width_mult)), 1, bias=False))
    return nn.Sequential(*layers, *blocks, last)


def _divisible(channels: float) -> int:
    """The nearest multiple of 8, at least 8 and at least nine tenths of ``channels``, as in Google's own code."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
