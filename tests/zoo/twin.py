"""What it takes to hold a net against torchvision's."""

import torch
from torch import nn

__all__ = ["gradients", "randomized", "same_weights"]


def randomized(net, seed=0):
    """Weights at which layers differ, and statistics that are none of 0 and 1; in double precision, dropout off."""
    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, std=(2 / fan_in) ** 0.5, generator=generator)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(module.running_var, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.running_mean, std=0.1, generator=generator)
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "bias", None), nn.Parameter):
            nn.init.normal_(module.bias, std=0.1, generator=generator)
    return net.double()


def same_weights(one, other):
    """Both with the weights of ``one``, and then of ``other``: every key fits in both directions."""
    other.load_state_dict(one.state_dict(), strict=True)
    one.load_state_dict(other.state_dict(), strict=True)


def gradients(net, x):
    """Of all parameters, of one number that depends on all outputs of the net in training."""
    outputs = net.train()(x)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    net.zero_grad()
    sum((place + 1) * output.square().sum() for place, output in enumerate(outputs)).backward()
    return {name: parameter.grad for name, parameter in net.named_parameters()}
