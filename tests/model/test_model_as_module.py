"""A model is an ordinary ``nn.Module``, in all three forms."""

import copy
import pickle
import timeit

import pytest
import torch
from model_forms import Net, X, Y, every_form, fitted, made, same, sequential, weights, wrapper
from torch import nn

import easyconv as ec
from easyconv.errors import ShapeError, StateError


@every_form
def test_parameters_buffers_and_moves(make):
    model = made(make, input_shape=(4,))
    assert [tuple(p.shape) for p in model.parameters()] == [(8, 4), (8,), (8,), (8,), (3, 8), (3,)]
    assert sum(1 for _ in model.buffers()) == 3
    assert model.to(torch.float64) is model
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    assert model(X.double()).dtype == torch.float64
    assert {p.device.type for p in model.to("meta").parameters()} == {"meta"}


def test_keys_are_torchs_own():
    assert list(made(sequential, input_shape=(4,)).state_dict())[:2] == ["0.weight", "0.bias"]
    assert next(iter(made(Net, input_shape=(4,)).state_dict())) == "features.0.weight"
    wrapped = made(wrapper, input_shape=(4,))
    assert list(wrapped.state_dict()) == [f"net.{name}" for name in wrapped.net.state_dict()]
    for method in ("state_dict", "load_state_dict", "named_parameters", "modules", "to", "train", "zero_grad"):
        assert getattr(ec.Model, method) is getattr(nn.Module, method), method
        assert getattr(ec.Sequential, method) is getattr(nn.Module, method), method


@every_form
def test_functional_call(make):
    model = made(make, input_shape=(4,)).eval()
    other = {name: torch.randn_like(p) for name, p in model.named_parameters()}
    before, twin = weights(model), copy.deepcopy(model)
    result = torch.func.functional_call(model, other, (X,))
    assert same(weights(model), before)
    twin.load_state_dict({**before, **other})
    assert torch.equal(result, twin(X))
    grads = torch.func.grad(lambda p: torch.func.functional_call(model, p, (X,)).square().sum())(other)
    assert all(grads[name].abs().sum() > 0 for name in ("net.3.bias", "3.bias", "classifier.bias") if name in grads)


@every_form
def test_strict_load_of_a_nested_model(make):
    def nest():
        return nn.Sequential(ec.Model(ec.Sequential([made(make, input_shape=(4,)), nn.Tanh()])), nn.Linear(3, 2))

    trained, fresh = nest(), nest()
    nn.init.normal_(trained[1].weight)
    trained(X)
    assert all(name.startswith(("0.net.0.", "1.")) for name in trained.state_dict())
    assert fresh.load_state_dict(trained.state_dict(), strict=True) == nn.Sequential().load_state_dict({})
    assert torch.equal(trained.eval()(X), fresh.eval()(X))
    with pytest.raises(RuntimeError, match="Missing key"):
        nest().load_state_dict({}, strict=True)


@every_form
def test_unbuilt_model_takes_its_sizes_from_a_state_dict(make):
    built, fresh = made(make, input_shape=(4,)), make()
    built(X)
    fresh.load_state_dict(built.state_dict(), strict=True)
    assert torch.equal(built.eval()(X), fresh.eval()(X))


@every_form
@pytest.mark.parametrize("state", ["unbuilt", "built", "compiled"])
def test_copies_and_pickles_go_on_alike(make, state):
    model = made(make, **({} if state == "unbuilt" else {"input_shape": (4,)}))
    if state == "compiled":
        model.compile("adam", metrics=["accuracy"], device="cpu")
    others = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    if state != "unbuilt":
        assert all(same(weights(model), weights(other)) for other in others)
    for each in (model, *others):
        if state != "compiled":
            each.compile("adam", metrics=["accuracy"], device="cpu")
    histories = [each.fit(X, Y, epochs=2, seed=3, verbose=0).history for each in (model, *others)]
    assert histories[0] == histories[1] == histories[2]
    assert all(same(weights(model), weights(other)) for other in others)


@every_form
def test_copy_of_a_fitted_model_is_independent_and_goes_on_alike(make):
    model = fitted(make, optimizer="adam", metrics=["accuracy"], ema=0.9)
    other, restored = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    assert other.history.history == model.history.history
    assert other.optimizer is not model.optimizer
    owned = {id(p) for group in other.optimizer.param_groups for p in group["params"]}
    assert owned == {id(p) for p in other.parameters()}
    before = weights(model)
    first = other.fit(X, Y, epochs=2, seed=5, verbose=0).history
    assert same(weights(model), before)
    assert len(model.history) == 2
    assert first == model.fit(X, Y, epochs=2, seed=5, verbose=0).history
    assert first == restored.fit(X, Y, epochs=2, seed=5, verbose=0).history
    assert same(weights(model), weights(other))
    assert same(weights(model), weights(restored))


@every_form
@pytest.mark.parametrize("trained", [False, True], ids=["built", "fitted"])
def test_export_gives_what_the_net_gives(make, trained):
    model = fitted(make, optimizer="sgd") if trained else made(make, input_shape=(4,))
    model.eval()
    exported = torch.export.export(model, (X,))
    assert sorted(exported.state_dict) == sorted(model.state_dict())
    torch.testing.assert_close(exported.module()(X), model(X))


@every_form
def test_torch_compile_and_vmap(make):
    model = made(make, input_shape=(4,)).eval()
    torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(X), model(X))
    torch.testing.assert_close(torch.func.vmap(model)(X.reshape(2, 20, 4)), model(X).reshape(2, 20, 3))


@every_form
def test_forward_hooks_fire_in_fit_evaluate_and_predict(make):
    model = made(make, input_shape=(4,))
    model.compile("sgd", device="cpu")
    seen = []
    with model.register_forward_hook(lambda module, args, output: seen.append((module.training, len(output)))):
        # The data is looked at beforehand with two rows.
        for verb, expected in (
            (lambda: model.fit(X, Y, batch_size=16, verbose=0), [(True, 16), (True, 16), (True, 8)]),
            (lambda: model.evaluate(X, Y, batch_size=32, verbose=0), [(False, 32), (False, 8)]),
            (lambda: model.predict(X, batch_size=32, verbose=0), [(False, 32), (False, 8)]),
        ):
            seen.clear()
            verb()
            assert [call for call in seen if call[1] > 2] == expected
    seen.clear()
    model(X)
    assert not seen


@every_form
def test_a_hook_may_change_the_output(make):
    model = made(make, input_shape=(4,))
    with model.register_forward_hook(lambda module, args, output: output * 0 + 7):
        assert (model.predict(X, verbose=0) == 7).all()


@every_form
def test_train_and_eval(make):
    model = made(make, input_shape=(4,))
    assert all(module.training for module in model.modules())
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    assert model.train() is model
    assert all(module.training for module in model.modules())


@every_form
def test_a_failing_layer_is_named(make):
    model = made(make, input_shape=(4,))
    before, state = weights(model), torch.get_rng_state()
    with pytest.raises(ShapeError, match=r"Layer '(features\.)?0' \(Linear\(in_features=4") as caught:
        model(torch.zeros(2, 5))
    assert type(caught.value.__cause__) is RuntimeError
    assert "shapes cannot be multiplied" in str(caught.value.__cause__)
    assert caught.value.rows[-1].input_shape == (2, 5)
    assert same(weights(model), before)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in model.modules())


def test_a_failing_layer_of_a_model_inside_a_model_has_its_whole_name():
    inner = ec.Sequential([nn.ReLU(), nn.Linear(5, 3)])
    outer = ec.Sequential([nn.Linear(4, 4), ("block", ec.Model(inner))])
    with pytest.raises(ShapeError, match=r"Layer 'block\.net\.1'") as caught:
        outer(X)
    assert [row.name for row in caught.value.rows] == ["0", "block.net.0", "block.net.1"]
    assert outer.get_layer(caught.value.layer) is inner[1]
    assert type(caught.value.__cause__) is RuntimeError


def test_errors_that_are_not_about_shapes_pass_unchanged():
    class Broken(ec.Model):
        def forward(self, x):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Broken()(X)

    class Flaky(ec.Model):
        calls = 0

        def forward(self, x):
            Flaky.calls += 1
            if Flaky.calls == 1:
                raise ValueError("only once")
            return x

    with pytest.raises(ValueError, match="only once") as caught:
        Flaky()(X)
    assert type(caught.value) is ValueError


def test_call_costs_less_than_a_microsecond():
    class Ours(ec.Model):
        def forward(self, x):
            return x

    class Plain(nn.Module):
        def forward(self, x):
            return x

    def seconds(module):
        return min(timeit.repeat(lambda: module(X), number=2000, repeat=15)) / 2000

    ours, plain = Ours(), Plain()
    # A machine with other work is slow at times, never fast: the least difference of a few tries is the cost.
    assert min(seconds(ours) - seconds(plain) for _ in range(4)) < 1e-6


def test_a_wrapper_hands_everything_over():
    class Two(nn.Module):
        def forward(self, left, right=None, *, scale=1):
            return (left - (0 if right is None else right)) * scale

    model = ec.Model(Two())
    assert torch.equal(model(X, X * 2), -X)
    assert torch.equal(model(X, right=X, scale=2), X * 0)
    assert torch.equal(model(left=X, right=X * 2), -X)


def test_a_subclass_may_call_the_wrapped_net():
    class Doubled(ec.Model):
        def forward(self, x):
            return super().forward(x) * 2

    assert torch.equal(Doubled(nn.Identity())(X), X * 2)


def test_no_forward():
    class Empty(ec.Model):
        pass

    with pytest.raises(StateError, match=r"Empty has no forward\(\).*Model\(net\)"):
        Empty()(X)
