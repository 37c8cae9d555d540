"""Every net that ``easyconv.zoo`` exports, found by itself: what each must be able to do.

Counts of parameters, the papers' tables and torchvision's twins are tested beside each net. Here nets run at the
smallest size that they are made for; full size is on the meta device, or with real numbers under ``make torture``.
"""

import copy
import functools
import inspect
import pickle
import re

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parameter import is_lazy

import easyconv as ec
from easyconv import zoo
from easyconv.errors import ArgumentError, ArgumentTypeError, UnknownNameError

NETS = [name for name in zoo.__all__ if inspect.isfunction(getattr(zoo, name))]
CLASSES = 7


@pytest.fixture(scope="module", params=NETS)
def name(request):
    """Of the scope of the module, so that all tests of a net come one after the other and share what is built."""
    return request.param


def parameters_of(name):
    return inspect.signature(getattr(zoo, name)).parameters


def small(name):
    """What makes the variant for images of 28x28 and 32x32; nets without the argument are such nets."""
    return {"small": True} if "small" in parameters_of(name) else {}


def sizes_of(name):
    """Sizes of images that a net must take, as pairs of a size and what to pass for it."""
    if "input_size" in parameters_of(name):
        return [(size, {"input_size": size}) for size in (28, 32)]
    return [(size, small(name)) for size in (28, 32)]


def make(name, in_channels=3, *, seed=0, **arguments):
    ec.set_seed(seed)
    return getattr(zoo, name)(CLASSES, in_channels, **arguments)


def images_for(size, *, channels=3, rows=2):
    return torch.rand(rows, channels, size, size, generator=torch.Generator().manual_seed(1))


@functools.lru_cache(maxsize=2)
def built(name):
    """A net that all tests share and none changes, images for it, and its outputs in evaluation mode."""
    size, arguments = sizes_of(name)[-1]
    net = make(name, **arguments).eval()
    images = images_for(size)
    with torch.no_grad():
        return net, images, net(images)


@functools.lru_cache(maxsize=2)
def full(name):
    """The net as it is by default, of shapes alone."""
    with torch.device("meta"):
        return getattr(zoo, name)()


def outputs(net, images):
    with torch.no_grad():
        return net.eval()(images)


class Gradients(ec.callbacks.Callback):
    """What the gradients are after a step."""

    def on_train_batch_end(self, batch, logs=None):
        self.found = {key: parameter.grad for key, parameter in self.model.named_parameters()}


def check_learns(net, images, labels, **options):
    """One batch of ``fit`` on a copy: every parameter has got a finite gradient, and some have moved; the copy."""
    model = copy.deepcopy(net)
    model.compile("sgd", lr=1e-3, metrics=["accuracy"], device="cpu", **options)
    gradients = Gradients()
    row = model.fit(images, labels, batch_size=len(images), verbose=0, callbacks=gradients).history
    assert torch.isfinite(torch.tensor(row["loss"])).all()
    assert [key for key, gradient in gradients.found.items() if gradient is None] == []
    assert [key for key, gradient in gradients.found.items() if not gradient.isfinite().all()] == []
    assert any(not torch.equal(*pair) for pair in zip(model.parameters(), net.parameters(), strict=True))
    return model


def test_there_are_nets():
    assert len(NETS) > 20
    # What else is exported are the classes that some nets are made of, and what they return.
    assert all(inspect.isclass(getattr(zoo, name)) for name in set(zoo.__all__) - set(NETS))
    assert zoo.__all__ == sorted(zoo.__all__, key=natural)


def natural(name):
    """Sorted as ruff sorts names: classes first, and numbers by their size."""
    return name.islower(), [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


class TestEverySmallNet:
    def test_takes_images_of_28_and_32_pixels(self, name):
        net, _, expected = built(name)
        assert expected.shape == (2, CLASSES)
        assert expected.isfinite().all()
        for size, arguments in sizes_of(name):
            if "input_size" not in arguments:
                assert outputs(net, images_for(size, rows=1)).shape == (1, CLASSES)
            else:
                with torch.device("meta"):
                    assert make(name, **arguments)(torch.empty(2, 3, size, size)).shape == (2, CLASSES)

    def test_other_numbers_of_channels_and_classes_change_the_first_and_last_layers_alone(self, name):
        net, _, _ = built(name)
        size, arguments = sizes_of(name)[-1]
        with torch.device("meta"):
            other = getattr(zoo, name)(CLASSES + 1, 1, **arguments).eval()
            assert other(torch.empty(2, 1, size, size)).shape == (2, CLASSES + 1)
        state = {key: tensor.shape for key, tensor in net.state_dict().items()}
        found = {key: tensor.shape for key, tensor in other.state_dict().items()}
        assert list(found) == list(state)
        changed = [key for key in state if found[key] != state[key]]
        assert found[changed[0]][1] == 1
        assert all(found[key][0] == CLASSES + 1 for key in changed[1:])
        assert len(changed) <= 1 + 2 * 3  # weights and biases of the classifier and of two auxiliary heads

    def test_a_copy_is_trained_evaluated_and_predicts(self, name):
        net, images, expected = built(name)
        labels = torch.tensor([1, 5])
        model = check_learns(net, images, labels, channels_last=False)  # "auto" would try both, which takes time
        predicted = torch.as_tensor(model.predict(images, verbose=0))
        assert predicted.shape == expected.shape
        assert predicted.isfinite().all()
        # evaluate() sees what predict() gives.
        loss, accuracy = model.evaluate(images, labels, verbose=0)
        assert loss == pytest.approx(float(cross_entropy(predicted, labels)), rel=1e-4, abs=1e-5)
        assert accuracy == pytest.approx(float((predicted.argmax(1) == labels).float().mean()))

    def test_seed_weights_and_pickle(self, name):
        net, images, expected = built(name)
        other = make(name, **sizes_of(name)[-1][1])
        state = other.state_dict()
        # The same seed, the same weights ...
        assert [key for key, value in net.state_dict().items() if not torch.equal(value, state[key])] == []
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.uniform_(-1, 1)
        # ... and other weights go out for those of the file.
        other.load_state_dict(net.state_dict(), strict=True)
        torch.testing.assert_close(outputs(pickle.loads(pickle.dumps(other)), images), expected)

    def test_exports(self, name):
        net, images, expected = built(name)
        program = torch.export.export(net, (images,))
        torch.testing.assert_close(program.module()(images), expected, atol=1e-5, rtol=1e-4)

    def test_is_made_of_plain_torch_layers_and_our_blocks(self, name):
        net, _, _ = built(name)
        assert isinstance(net, ec.Model)
        kinds = {type(module) for module in net.modules()}
        strange = [kind for kind in kinds if not kind.__module__.startswith(("torch.nn.modules.", "easyconv."))]
        assert strange == []
        assert not any(isinstance(module, torch.jit.ScriptModule) for module in net.modules())
        assert not any(is_lazy(tensor) for tensor in (*net.parameters(), *net.buffers()))
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


class TestEveryFullNet:
    """At the size of its paper, of shapes alone."""

    def test_summary_adds_up(self, name):
        net = full(name)
        table = net.summary()
        channels, height, width = table.input_shape[1:]
        assert channels == parameters_of(name)["in_channels"].default
        assert height == width
        assert table.parameters == net.count_params() == sum(parameter.numel() for parameter in net.parameters())
        assert table.multiply_adds == sum(row.multiply_adds for row in table.rows) > 0
        # An operation that the tracer does not know would give "?" from there on.
        assert "?" not in [row.receptive_field for row in table.rows if row.sees]
        assert table.title == net.name
        assert name in net.name
        classes = parameters_of(name)["num_classes"].default
        out = net.eval()(torch.empty(2, channels, height, width, device="meta"))
        assert out.shape == (2, classes)


class TestEverySignature:
    def test_reads_alike(self, name):
        signature = inspect.signature(getattr(zoo, name))
        positional = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert [p.name for p in positional] == ["num_classes", "in_channels"]
        assert all(p.default is not p.empty for p in signature.parameters.values())
        assert signature.parameters["init"].kind is inspect.Parameter.KEYWORD_ONLY
        assert (
            signature.parameters.get(
                "small", inspect.Parameter("small", inspect.Parameter.KEYWORD_ONLY, default=False)
            ).default
            is False
        )
        assert inspect.getmodule(signature.return_annotation).__name__.startswith("easyconv.")

    def test_has_a_docstring_with_everything(self, name):
        doc = inspect.getdoc(getattr(zoo, name))
        titles = re.findall(r"^(\w[\w ]*)\n-+$", doc, flags=re.MULTILINE)
        assert {"Parameters", "Returns", "Examples"} <= set(titles)
        assert ">>> " in doc.partition("Examples\n")[2]
        for parameter in parameters_of(name):
            assert re.search(rf"^(\w+, )*{parameter}(, \w+)*( :|$)", doc, flags=re.MULTILINE), (
                f"{parameter} is not documented"
            )
        # The course's nets have no papers; some nets of a family refer to one that has.
        elsewhere = [getattr(zoo, other) for other in re.findall(r"[Ss]ee `(\w+)`", doc) if other in NETS]
        cited = any("References\n----------" in inspect.getdoc(net) for net in [getattr(zoo, name), *elsewhere])
        assert cited or inspect.getmodule(getattr(zoo, name)) is zoo.course

    @pytest.mark.parametrize(
        ("arguments", "error", "match"),
        [
            ({"nonsense_word": 1}, ArgumentTypeError, r"{name}\(\) has no argument nonsense_word=\."),
            ({"classes": 10}, ArgumentTypeError, r"{name}\(\) has no argument classes=\. Write num_classes=\."),
            ({"num_clases": 10}, ArgumentTypeError, "Did you mean 'num_classes'"),
            ({"include_top": False}, ArgumentTypeError, r"include_top=\. .*net\[:-1\]"),
            ({"pretrained": True}, ArgumentTypeError, r'pretrained=\. .*weights="imagenet"'),
            ({"num_classes": 0}, ArgumentError, "num_classes must be at least 1, got 0"),
            ({"in_channels": 0}, ArgumentError, "in_channels must be at least 1, got 0"),
            ({"num_classes": "10"}, ArgumentTypeError, "num_classes must be an integer, got '10'"),
            ({"in_channels": 1.5}, ArgumentTypeError, "in_channels must be an integer, got 1.5"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, name, arguments, error, match):
        with pytest.raises(error, match=match.replace("{name}", name)):
            getattr(zoo, name)(**arguments)

    def test_knows_the_initial_weights_of_its_paper(self, name):
        if inspect.getmodule(getattr(zoo, name)) is zoo.course:
            pytest.skip("a net of the course has no paper")
        with torch.device("meta"):
            assert make(name, init="Paper", **small(name)).count_params()
        with pytest.raises(UnknownNameError, match="Did you mean 'paper'"):
            make(name, init="papre", **small(name))

    def test_says_so_where_there_are_no_weights_or_no_small_variant(self, name):
        hints = {"weights": "no trained weights for this net", "small": "for small images as it is"}
        for argument, hint in hints.items():
            if argument not in parameters_of(name):
                with pytest.raises(ArgumentTypeError, match=rf"{name}\(\) has no argument {argument}=\. .*{hint}"):
                    getattr(zoo, name)(**{argument: True})
            elif argument == "weights":
                with pytest.raises(ArgumentTypeError, match=r'got True \(bool\)\. Write weights="imagenet"'):
                    getattr(zoo, name)(weights=True)
            else:
                with pytest.raises(ArgumentTypeError, match="small must be True or False, got 3"):
                    getattr(zoo, name)(small=3)


@pytest.mark.torture
def test_full_size_with_real_numbers(name):
    """What the small nets do above, at the size of the paper: minutes, and gigabytes."""
    ec.set_seed(0)
    net = getattr(zoo, name)().eval()
    channels, size, _ = full(name).summary().input_shape[1:]
    images = images_for(size, channels=channels)
    expected = outputs(net, images)
    assert expected.isfinite().all()
    torch.testing.assert_close(torch.export.export(net, (images,)).module()(images), expected, atol=1e-5, rtol=1e-4)
    check_learns(net, images, torch.tensor([1, 5]))


def test_a_model_that_does_not_learn_is_noticed():
    class Forgetful(ec.Model):
        def __init__(self):
            super().__init__(input_shape=(3, 4, 4))
            self.used, self.unused = nn.Linear(48, CLASSES), nn.Linear(2, 2)

        def forward(self, x):
            return self.used(x.flatten(1))

    with pytest.raises(AssertionError, match=r"unused\.weight"):
        check_learns(Forgetful(), images_for(4), torch.tensor([1, 5]))
