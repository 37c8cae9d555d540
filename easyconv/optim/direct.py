"""A step of torch's commonest optimizers without what torch does around the arithmetic.

``optimizer.step()`` of torch opens a profiler range, looks for hooks, asks which implementation to take, and calls one
kernel after the other from Python: a tenth of a small net's step. `step` makes the same calls for whole lists of
tensors. Where anybody could notice a difference (hooks, schedulers that have wrapped ``step``, a profiler, subclasses,
unusual options), it leaves the step to the optimizer.

The numbers are those of ``optimizer.step()``, bit for bit: on the CPU the ``_foreach_`` functions of torch apply the
very operation of its ordinary loop to each tensor, and with ``fused=True`` it is the same fused kernel.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

__all__ = ["begin_moments", "step"]

Group = dict[str, Any]
Tensors = list[Tensor] | tuple[Tensor, ...]


def step(optimizer: Optimizer, brake: Tensor | None = None) -> None:
    """Do what ``optimizer.step()`` does.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Any.
    brake : Tensor, optional
        A number on the device: where it is 1, the fused kernels leave everything as it is. For optimizers that look at
        ``found_inf``, as `torch.amp.GradScaler` hands it to them.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
    >>> weight.grad = torch.tensor([2.0])
    >>> step(SGD([weight], lr=0.25))
    >>> weight.item()
    0.5
    """
    apply = _KINDS.get(type(optimizer))
    if apply is None or _is_watched(optimizer):
        _usual_step(optimizer, brake)
        return
    prepared = [_prepared(optimizer, group) for group in optimizer.param_groups]
    ready = [group for group in prepared if group is not None]
    if len(ready) < len(prepared):
        _usual_step(optimizer, brake)
        return
    with torch.no_grad():
        for group, parameters, gradients, states in ready:
            if parameters:
                apply(group, parameters, gradients, states, brake)


def begin_moments(optimizer: Optimizer) -> None:
    """Let the momentum of a fused SGD begin at 0, where a loss scaler may pass over the first step.

    torch makes the buffers in that step, and its kernel, which passes over it, leaves in them what was in memory.

    Examples
    --------
    >>> optimizer = SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9, fused=True)
    >>> begin_moments(optimizer)
    >>> [state["momentum_buffer"] for state in optimizer.state.values()]
    [tensor([0., 0.])]
    """
    if optimizer.state or not isinstance(optimizer, SGD):
        return
    for group in optimizer.param_groups:
        # With dampening the first step counts in full, as only torch's own first step does it.
        if group["fused"] and group["momentum"] and not group["dampening"]:
            for parameter in group["params"]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def _usual_step(optimizer: Any, brake: Tensor | None) -> None:
    if brake is None:
        optimizer.step()
        return
    # The attributes through which torch's own loss scaler does it.
    optimizer.grad_scale, optimizer.found_inf = None, brake
    try:
        optimizer.step()
    finally:
        del optimizer.grad_scale, optimizer.found_inf


_Prepared = tuple[Group, list[Tensor], list[Tensor], list[dict[str, Any]]]


def _prepared(optimizer: Optimizer, group: Group) -> _Prepared | None:
    """What a group moves; ``None`` where it needs torch's own step, as the first one does, which makes the state."""
    if _is_unusual(group):
        return None
    parameters: list[Tensor] = []
    gradients: list[Tensor] = []
    on_cpu = not group["fused"]
    for parameter in group["params"]:
        gradient = parameter.grad
        if gradient is None:
            continue
        # Real numbers; and on the CPU, where it is known which calls give the same bits, unless one kernel does it all.
        if gradient.is_sparse or not parameter.is_floating_point() or (on_cpu and not parameter.is_cpu):
            return None
        parameters.append(parameter)
        gradients.append(gradient)
    if not group.get("momentum", True):
        return group, parameters, gradients, []
    states = [optimizer.state[parameter] for parameter in parameters if parameter in optimizer.state]
    wanted = _STATE[type(optimizer)]
    if len(states) < len(parameters) or any(state.get(wanted) is None for state in states):
        return None
    return group, parameters, gradients, states


def _is_unusual(group: Group) -> bool:
    """Whether it asks for what only torch's own step does."""
    return bool(
        group["maximize"]
        or group["differentiable"]
        or group["foreach"] is False
        or group.get("capturable")
        or group.get("amsgrad")
        or isinstance(group["lr"], Tensor)
        or isinstance(group["weight_decay"], Tensor)
        or any(isinstance(beta, Tensor) for beta in group.get("betas", ()))
    )


def _is_watched(optimizer: Optimizer) -> bool:
    """Whether somebody would see that ``step`` was not called."""
    return bool(
        "step" in vars(optimizer)  # a scheduler of torch counts the calls
        or optimizer._optimizer_step_pre_hooks
        or optimizer._optimizer_step_post_hooks
        or _global_optimizer_pre_hooks
        or _global_optimizer_post_hooks
        or not _is_torchs(type(optimizer))
        or torch.autograd._profiler_enabled()  # type: ignore[attr-defined]
    )


def _is_torchs(kind: type[Optimizer]) -> bool:
    """Whether nobody has put another ``step`` into the class."""
    return _bare(kind.step) is _STEPS[kind]


def _sgd(
    group: Group, parameters: Tensors, gradients: Tensors, states: list[dict[str, Any]], brake: Tensor | None
) -> None:
    lr, momentum, decay = float(group["lr"]), group["momentum"], group["weight_decay"]
    buffers: Tensors = [state["momentum_buffer"] for state in states]
    if group["fused"]:
        torch._fused_sgd_(
            parameters,
            gradients,
            buffers,
            weight_decay=decay,
            momentum=momentum,
            lr=lr,
            dampening=group["dampening"],
            nesterov=group["nesterov"],
            maximize=False,
            is_first_step=False,
            found_inf=brake,
        )
        return
    if decay:
        gradients = torch._foreach_add(gradients, parameters, alpha=decay)
    if momentum:
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, gradients, alpha=1 - group["dampening"])
        gradients = torch._foreach_add(gradients, buffers, alpha=momentum) if group["nesterov"] else buffers
    torch._foreach_add_(parameters, gradients, alpha=-lr)


def _adam(
    group: Group, parameters: Tensors, gradients: Tensors, states: list[dict[str, Any]], brake: Tensor | None
) -> None:
    """Adam and AdamW: Kingma and Ba 2014, Loshchilov and Hutter 2017."""
    lr, (beta1, beta2), eps, decay = float(group["lr"]), group["betas"], group["eps"], group["weight_decay"]
    means, squares, steps = ([state[word] for state in states] for word in ("exp_avg", "exp_avg_sq", "step"))
    decoupled = group["decoupled_weight_decay"]
    torch._foreach_add_(steps, 1)
    if group["fused"]:
        kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_
        kernel(
            parameters,
            gradients,
            means,
            squares,
            [],
            steps,
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            weight_decay=decay,
            eps=eps,
            amsgrad=False,
            maximize=False,
            found_inf=brake,
        )
        if brake is not None:
            torch._foreach_sub_(steps, [brake] * len(steps))  # a step that was not made does not count
        return
    if decay and decoupled:
        torch._foreach_mul_(parameters, 1 - lr * decay)
    elif decay:
        gradients = torch._foreach_add(gradients, parameters, alpha=decay)
    torch._foreach_lerp_(means, gradients, 1 - beta1)
    torch._foreach_mul_(squares, beta2)
    torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
    counts = [count.item() for count in steps]  # on the CPU: no device is read
    denominators = torch._foreach_sqrt(squares)
    torch._foreach_div_(denominators, [(1 - beta2**count) ** 0.5 for count in counts])
    torch._foreach_add_(denominators, eps)
    torch._foreach_addcdiv_(parameters, means, denominators, [-(lr / (1 - beta1**count)) for count in counts])


_KINDS: dict[type[Optimizer], Callable[..., None]] = {SGD: _sgd, Adam: _adam, AdamW: _adam}
_STATE: dict[type[Optimizer], str] = {SGD: "momentum_buffer", Adam: "exp_avg_sq", AdamW: "exp_avg_sq"}
"""What is there for a parameter that has been moved before."""
_WRAPPER = Optimizer.profile_hook_step(lambda self: None).__code__


def _bare(found: Any) -> Any:
    """A ``step`` without what torch puts around it when the first optimizer of its class is made."""
    return found.__wrapped__ if getattr(found, "__code__", None) is _WRAPPER else found


_STEPS: dict[type[Optimizer], Any] = {kind: _bare(kind.step) for kind in _KINDS}
