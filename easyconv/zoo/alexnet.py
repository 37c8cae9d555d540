"""AlexNet, twice: as in the paper of 2012, on two GPUs, and as torchvision has it, in one tower."""

from typing import Any

import torch
from torch import nn

from easyconv.arguments import check_flag
from easyconv.layers import Conv2D, Dense, GlobalAvgPool2D
from easyconv.layers.initializers import InitLike
from easyconv.layers.normalization import alexnet_norm
from easyconv.model import Sequential
from easyconv.zoo.checks import check_net, choose_version, net_words
from easyconv.zoo.initial import choose_init, is_paper
from easyconv.zoo.pretrained import check_weights, load_imagenet

__all__ = ["alexnet"]


@net_words
def alexnet(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    version: str | None = None,
    small: bool = False,
    init: InitLike = "paper",
    weights: str | None = None,
) -> Sequential:
    """AlexNet (Krizhevsky, Sutskever and Hinton, 2012), for images of 227x227.

    =====  ==================================================  =========  ==========
    layer  what it does                                        output     parameters
    =====  ==================================================  =========  ==========
    conv1  96 of 11x11, stride 4; ReLU, norm                   96@55x55   34,944
    pool1  maximum of 3x3, stride 2                            96@27x27
    conv2  256 of 5x5, in two groups; ReLU, norm               256@27x27  307,456
    pool2  maximum of 3x3, stride 2                            256@13x13
    conv3  384 of 3x3; ReLU                                    384@13x13  885,120
    conv4  384 of 3x3, in two groups; ReLU                     384@13x13  663,936
    conv5  256 of 3x3, in two groups; ReLU                     256@13x13  442,624
    pool5  maximum of 3x3, stride 2                            256@6x6
    fc6    dense; ReLU, dropout                                4096       37,752,832
    fc7    dense; ReLU, dropout                                4096       16,781,312
    fc8    dense                                               1000       4,097,000
    =====  ==================================================  =========  ==========

    Parameters
    ----------
    num_classes : int, default 1000
        Number of classes.
    in_channels : int, default 3
        Channels of the images.
    version : {"published", "torchvision"}, optional
        The published net by default, or torchvision's where its weights are asked for. ``"published"`` is the table
        above, 60,965,224 parameters. ``"torchvision"`` is the one-tower net of Krizhevsky's
        later note: 64, 192, 384, 256, 256 maps, no groups and no norms, 61,100,840 parameters, images of 224x224 or
        any other size from 63 on; its ``state_dict`` is torchvision's.
    small : bool, default False
        For images of 28x28 and 32x32: a 3x3 convolution with stride 1 first, the mean of each map before the dense
        layers, and 512 units in those.
    init : str or callable, default "paper"
        Initial weights. ``"paper"`` is a normal distribution of standard deviation 0.01, with biases of 1 in conv2,
        conv4, conv5, fc6 and fc7 (so that their ReLUs start with positive inputs) and of 0 elsewhere; for
        ``version="torchvision"`` torch's own, and ``"he"`` for ``small=True``, where 0.01 would be too small.
    weights : {"imagenet"}, optional
        Torchvision's trained weights, which go with ``version="torchvision"``.

    Returns
    -------
    Sequential
        The net, built.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or there are no trained weights for such a net.

    Notes
    -----
    The paper says 224x224, from which its own sizes do not follow; 227x227 gives them.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012,
    figure 2, sections 3.3 to 3.5, 4.2 and 5. Krizhevsky, "One weird trick for parallelizing convolutional neural
    networks", arXiv:1404.5997, for the one tower.

    Examples
    --------
    >>> with torch.device("meta"):
    ...     net = alexnet()
    >>> net.count_params()
    60965224
    """
    check_net(num_classes, in_channels)
    check_flag("small", small)
    check_weights(weights, in_channels=in_channels, small=small)
    version = choose_version(version, ("published", "torchvision"), weights)
    one_tower = version == "torchvision"
    size = 32 if small else 224 if one_tower else 227
    paper: InitLike = "he" if small else None if one_tower else "alexnet"
    net = Sequential(
        (_one_tower if one_tower else _two_gpus)(num_classes, small),
        input_shape=(in_channels, size, size),
        name="alexnet",
        init=choose_init(init, paper),
    )
    if is_paper(init) and not small and not one_tower:
        _set_biases_to_one(net)
    return load_imagenet(net, "alexnet", head="classifier.6", weights=weights)


def _two_gpus(num_classes: int, small: bool) -> list[Any]:
    units = 512 if small else 4096
    return [
        ("conv1", Conv2D(96, 3, padding=1) if small else Conv2D(96, 11, stride=4)),
        ("relu1", nn.ReLU()),
        ("norm1", alexnet_norm()),
        ("pool1", nn.MaxPool2d(3, stride=2)),
        ("conv2", Conv2D(256, 5, padding=2, groups=2)),
        ("relu2", nn.ReLU()),
        ("norm2", alexnet_norm()),
        ("pool2", nn.MaxPool2d(3, stride=2)),
        ("conv3", Conv2D(384, 3, padding=1)),
        ("relu3", nn.ReLU()),
        ("conv4", Conv2D(384, 3, padding=1, groups=2)),
        ("relu4", nn.ReLU()),
        ("conv5", Conv2D(256, 3, padding=1, groups=2)),
        ("relu5", nn.ReLU()),
        ("pool5", nn.MaxPool2d(3, stride=2)),
        ("flatten", GlobalAvgPool2D() if small else nn.Flatten()),
        ("fc6", Dense(units)),
        ("relu6", nn.ReLU()),
        ("drop6", nn.Dropout(0.5)),
        ("fc7", Dense(units)),
        ("relu7", nn.ReLU()),
        ("drop7", nn.Dropout(0.5)),
        ("fc8", Dense(num_classes)),
    ]


def _one_tower(num_classes: int, small: bool) -> list[Any]:
    units = 512 if small else 4096
    features = nn.Sequential(
        Conv2D(64, 3, padding=1) if small else Conv2D(64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        Conv2D(192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        Conv2D(384, 3, padding=1),
        nn.ReLU(),
        Conv2D(256, 3, padding=1),
        nn.ReLU(),
        Conv2D(256, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
    )
    classifier = nn.Sequential(
        nn.Dropout(0.5),
        Dense(units),
        nn.ReLU(),
        nn.Dropout(0.5),
        Dense(units),
        nn.ReLU(),
        Dense(num_classes),
    )
    return [
        ("features", features),
        ("avgpool", nn.AdaptiveAvgPool2d(1 if small else 6)),
        ("flatten", nn.Flatten()),
        ("classifier", classifier),
    ]


def _set_biases_to_one(net: Sequential) -> None:
    with torch.no_grad():
        for name in ("conv2", "conv4", "conv5", "fc6", "fc7"):
            nn.init.ones_(net.get_layer(name).bias)  # type: ignore[arg-type]
