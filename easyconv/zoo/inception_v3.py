"""Inception-v3: GoogLeNet's idea with large filters taken apart, and batch norm everywhere."""

from collections import OrderedDict
from typing import NamedTuple

from torch import Tensor, nn

from easyconv.arguments import check_flag
from easyconv.layers import Dense, InceptionV3A, InceptionV3B, InceptionV3C, InceptionV3D, InceptionV3E, MaxPool2D
from easyconv.layers.blocks.basic_conv import basic_conv as conv
from easyconv.layers.initializers import InitLike
from easyconv.zoo.checks import check_net, net_words
from easyconv.zoo.heads import HeadedNet
from easyconv.zoo.initial import choose_init
from easyconv.zoo.pretrained import check_weights, load_imagenet

__all__ = ["InceptionOutputs", "InceptionV3", "inception_v3"]

Layers = list[tuple[str, nn.Module]]


class InceptionOutputs(NamedTuple):
    """What `InceptionV3` gives in training: raw outputs of the net and of its auxiliary head."""

    logits: Tensor
    aux_logits: Tensor

    @property
    def aux_weight(self) -> float:
        """How much the loss of the head counts. The paper does not say; this is Google's released training code."""
        return 0.4


class InceptionV3(HeadedNet):
    """What `inception_v3` makes: a stack of layers with a head after ``Mixed_6e``."""

    heads = ("AuxLogits",)

    def forward(self, x: Tensor) -> Tensor | InceptionOutputs:
        """Raw outputs; in training with those of the head, where there is one."""
        logits, answers = self._run(x)
        return InceptionOutputs(logits, answers["AuxLogits"]) if answers else logits


@net_words
def inception_v3(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    small: bool = False,
    aux: bool = True,
    init: InitLike = "he",
    weights: str | None = None,
) -> InceptionV3:
    """Inception-v3 (Szegedy et al., 2016), for images of 299x299.

    ================= ============================================ ============ ============
    layer             what it does                                 output       parameters
    ================= ============================================ ============ ============
    Conv2d_1a_3x3     32 of 3x3, stride 2                          32@149x149   928
    Conv2d_2a_3x3     32 of 3x3                                    32@147x147   9,280
    Conv2d_2b_3x3     64 of 3x3, padded                            64@147x147   18,560
    maxpool1          maximum of 3x3, stride 2                     64@73x73
    Conv2d_3b_1x1     80 of 1x1                                    80@73x73     5,280
    Conv2d_4a_3x3     192 of 3x3                                   192@71x71    138,624
    maxpool2          maximum of 3x3, stride 2                     192@35x35
    Mixed_5b, c, d    three `InceptionV3A` (figure 5)              288@35x35    818,528
    Mixed_6a          `InceptionV3B` (figure 10)                   768@17x17    1,153,280
    Mixed_6b to e     four `InceptionV3C` (figure 6)               768@17x17    6,821,376
    Mixed_7a          `InceptionV3D`                               1280@8x8     1,698,304
    Mixed_7b, c       two `InceptionV3E` (figure 7)                2048@8x8     11,121,408
    avgpool, dropout  mean of each map                             2048
    fc                dense                                        1000         2,049,000
    AuxLogits         head after Mixed_6e, in training only        1000         3,326,696
    together                                                                    27,161,264
    ================= ============================================ ============ ============

    Batch norm and a ReLU follow every convolution. In training the net returns `InceptionOutputs`: ``logits`` and
    ``aux_logits``. ``fit`` adds the loss of the head times 0.4. The ``state_dict`` is torchvision's.

    Parameters
    ----------
    num_classes : int, default 1000
        Number of classes.
    in_channels : int, default 3
        Channels of the images.
    small : bool, default False
        For images of 28x28 and 32x32: all before Mixed_5b keeps the size, without strides and poolings. The blocks
        then see grids of 32, 15 and 7 (28, 13 and 6), nearly as in the paper; the head averages to 5x5.
    aux : bool, default True
        Whether to have the head. Without it the net returns ``logits`` in training too.
    init : str or callable, default "he"
        Initial weights. The paper does not say how its own were drawn.
    weights : {"imagenet"}, optional
        Torchvision's trained weights, which are Google's.

    Returns
    -------
    InceptionV3
        The net, built.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or there are no trained weights for such a net.

    Notes
    -----
    This is the net that Google released, and not quite the paper's table 1: there, three 3x3 convolutions of 80 (stride
    1), 192 (stride 2) and 288 stand where the net has 80 of 1x1, 192 of 3x3 and a pooling, and five blocks of figure 6
    where the net has `InceptionV3B` and four. The sizes of the grids are the same.

    The head asks for a grid of 17x17 or more: in training, images are at least 299x299 large. Without it, and in
    evaluation, 75x75 will do. Its weight of 0.4 is that of Google's training code (``aux_loss`` in *inception_model.py*
    of TensorFlow's models); the paper gives none.

    References
    ----------
    Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception Architecture for Computer Vision", CVPR 2016,
    table 1, figures 5 to 8 and 10, and section 4 for the head.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = inception_v3()
    >>> net.count_params()
    27161264
    """
    check_net(num_classes, in_channels)
    check_flag("small", small)
    check_flag("aux", aux)
    check_weights(weights, in_channels=in_channels, small=small)
    layers = [*(_small_stem() if small else _stem()), *_blocks(num_classes, small=small)]
    size = 32 if small else 299
    net = InceptionV3(
        [(name, layer) for name, layer in layers if aux or name not in InceptionV3.heads],
        input_shape=(in_channels, size, size),
        name="inception_v3",
        init=choose_init(init, "he"),
    )
    return load_imagenet(net, "inception_v3", head=("fc", "AuxLogits.fc"), weights=weights)


def _stem() -> Layers:
    """All before the first block; only 2b is padded."""
    return [
        ("Conv2d_1a_3x3", conv(32, 3, stride=2, padding=0)),
        ("Conv2d_2a_3x3", conv(32, 3, padding=0)),
        ("Conv2d_2b_3x3", conv(64, 3)),
        ("maxpool1", MaxPool2D(3, stride=2)),
        ("Conv2d_3b_1x1", conv(80, 1)),
        ("Conv2d_4a_3x3", conv(192, 3, padding=0)),
        ("maxpool2", MaxPool2D(3, stride=2)),
    ]


def _small_stem() -> Layers:
    """The same convolutions, which keep the size of the images."""
    return [
        ("Conv2d_1a_3x3", conv(32, 3)),
        ("Conv2d_2a_3x3", conv(32, 3)),
        ("Conv2d_2b_3x3", conv(64, 3)),
        ("Conv2d_3b_1x1", conv(80, 1)),
        ("Conv2d_4a_3x3", conv(192, 3)),
    ]


def _blocks(num_classes: int, *, small: bool) -> Layers:
    return [
        ("Mixed_5b", InceptionV3A(pool_features=32)),
        ("Mixed_5c", InceptionV3A(pool_features=64)),
        ("Mixed_5d", InceptionV3A(pool_features=64)),
        ("Mixed_6a", InceptionV3B()),
        ("Mixed_6b", InceptionV3C(channels_7x7=128)),
        ("Mixed_6c", InceptionV3C(channels_7x7=160)),
        ("Mixed_6d", InceptionV3C(channels_7x7=160)),
        ("Mixed_6e", InceptionV3C(channels_7x7=192)),
        ("AuxLogits", _head(num_classes, small=small)),
        ("Mixed_7a", InceptionV3D()),
        ("Mixed_7b", InceptionV3E()),
        ("Mixed_7c", InceptionV3E()),
        ("avgpool", nn.AdaptiveAvgPool2d(1)),
        ("flatten", nn.Flatten()),
        ("dropout", nn.Dropout(0.5)),
        ("fc", Dense(num_classes)),
    ]


def _head(num_classes: int, *, small: bool) -> nn.Module:
    """The auxiliary classifier of figure 8: 17x17 is averaged to 5x5, which conv1 sees whole."""
    layers: dict[str, nn.Module] = {
        "pool": nn.AdaptiveAvgPool2d(5) if small else nn.AvgPool2d(5, stride=3),
        "conv0": conv(128, 1),
        "conv1": conv(768, 5, padding=0),
        "avgpool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "fc": Dense(num_classes),
    }
    return nn.Sequential(OrderedDict(layers))
