"""``Model``: Keras's verbs on any PyTorch module."""

import inspect
import os
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from easyconv.arguments import check_integer, check_keywords, checked_keywords
from easyconv.callbacks.backup import opened_run
from easyconv.callbacks.progress import Verbosity
from easyconv.data.preprocessing import Preprocessing
from easyconv.data.sources.batch import Batch
from easyconv.data.sources.make import DEFAULT_BATCH_SIZE, make_source
from easyconv.errors import StateError
from easyconv.layers.freezing import frozen_but, is_frozen
from easyconv.layers.heads import heads_of
from easyconv.layers.initializers import InitLike
from easyconv.model.consistency import check_classes, check_fitting, warn_of_other_scale
from easyconv.model.predictor import Callbacks, listeners, one_batch
from easyconv.model.savable import Savable
from easyconv.model.words import KERAS_WORDS
from easyconv.training.feeding import make_sources
from easyconv.training.history import History
from easyconv.training.keeper import kept_in
from easyconv.training.options import FitOptions, OnOutOfMemory
from easyconv.training.overriding import Overrides
from easyconv.training.recipe import make_recipe
from easyconv.training.run_folder import RunFolder
from easyconv.training.session import Session
from easyconv.training.state import Layout, Precision, SecondPhase, StepResult
from easyconv.training.steps import eval_step, train_step

__all__ = ["Model"]

Results = float | list[float] | dict[str, float]


class Model(Savable):
    """Any ``torch.nn.Module`` with Keras's verbs: ``compile``, ``fit``, ``evaluate``, ``predict``, ``summary``.

    Three ways to make one: ``Model(net)`` wraps a module and keeps it as ``model.net``; ``class Net(Model)`` with
    ``__init__`` and ``forward`` is one itself; :class:`Sequential` stacks layers. Parameters, hooks, ``.to()``,
    ``state_dict``, ``functional_call`` and ``torch.export`` work as on any module.

    Parameters
    ----------
    net : torch.nn.Module, optional
        The module to wrap. Left out by subclasses that define ``forward``.
    input_shape : tuple of int, or nested tuple or dict of shapes, optional
        Shape of one sample, channels first and without the batch: ``(3, 32, 32)``. Sizes are then inferred at once.
        Without it they are inferred from the first data.
    name : str, optional
        What summaries call the model; the name of the class by default.
    init : str or callable, optional
        Initial weights of all convolutions and dense layers, whose biases become zero: ``"he"``, ``"glorot"``,
        ``"lecun"``, ``"alexnet"``, others, or a function: see `easyconv.layers.initialize`. Layers that have an
        ``init`` of their own keep it. Torch's own values by default.

    Raises
    ------
    ArgumentTypeError
        When ``net`` is not a module.
    ShapeError
        When a layer cannot take what reaches it; the message names the layer and shows the shapes up to it.

    Examples
    --------
    >>> import torch
    >>> import easyconv as ec
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    >>> model = ec.Model(net)
    >>> model.compile(lr=0.01)
    >>> images, labels = torch.rand(100, 1, 8, 8), torch.randint(0, 10, (100,))
    >>> history = model.fit(images, labels, epochs=2, verbose=0)
    >>> model.predict(images).shape
    (100, 10)
    """

    def __init__(
        self, net: nn.Module | None = None, *, input_shape: Any = None, name: str | None = None, init: InitLike = None
    ) -> None:
        super().__init__(net, input_shape=input_shape, name=name, init=init)
        self._history = History()

    @checked_keywords(KERAS_WORDS)
    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = "cross_entropy",
        metrics: Any = None,
        *,
        lr: float | None = None,
        device: str | torch.device = "auto",
        precision: Precision | Literal["auto"] = "fp32",
        jit: bool = False,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        accumulate: int = 1,
        ema: float | None = None,
        channels_last: Layout = "auto",
        loss_weights: Any = None,
    ) -> None:
        """Say how to train. Starts the optimizer afresh; the weights stay.

        Takes the place of ``torch.nn.Module.compile``, which compiles code: that is ``jit=True`` here.

        Parameters
        ----------
        optimizer : str, class, callable or torch.optim.Optimizer, default "adam"
            A name (``"sgd"``), a ``torch.optim`` class, ``ec.optim.SGD(lr=0.1, momentum=0.9)``, any callable from
            parameters to an optimizer, or an optimizer of this model's parameters.
        loss : str, module, callable, or list or dict of these, default "cross_entropy"
            A name (``cross_entropy``, ``bce``, ``mse``, ``mae``, ``huber``, ``hinge``, ``nll``, ...; cross_entropy and
            bce take raw outputs), a torch loss, or any ``loss(output, target)``; one per output where there are
            several.
        metrics : str, callable, object, or list or dict of these, optional
            Names (``"accuracy"``, ``"top5"``, ``"f1"``), functions ``(output, target) -> tensor``, ``ec.metrics`` or
            torchmetrics objects.
        lr : float, optional
            Learning rate; the optimizer's own default otherwise.
        device : str or torch.device, default "auto"
            ``"auto"`` takes CUDA, then Apple's MPS, then Intel's XPU, then the CPU; the environment variable
            ``EASYCONV_DEVICE`` overrides it.
        precision : {"fp32", "bf16", "fp16", "auto"}, default "fp32"
            What the forward pass computes in; ``"fp16"`` scales the loss, ``"auto"`` is bf16 on devices with units for
            it (CUDA from compute capability 8.0, CPUs with AMX or AVX-512 BF16) and fp32 elsewhere.
        jit : bool, default False
            Compile net and loss with ``torch.compile``, once for training and once for evaluation: the second batch of
            either takes long. On CUDA the code is replayed from CUDA graphs, unless ``accumulate`` is given.
        clip_norm : float, optional
            Largest norm of all gradients together.
        clip_value : float, optional
            Largest absolute value of each gradient.
        accumulate : int, default 1
            Batches whose gradients are summed, weighed by their rows, before the optimizer runs.
        ema : float, optional
            Decay of a running average of the weights, like 0.999. Validation, checkpoints and the fitted model have
            the averages.
        channels_last : {"auto", True, False}, default "auto"
            Memory layout of images while training. ``"auto"`` uses it where it pays and the net allows it. Values and
            files do not change; results may differ in the last bits.
        loss_weights : list or dict of float, optional
            Weight of each loss, where there are several.

        Raises
        ------
        UnknownNameError
            For a name that is not known; the nearest are suggested.
        ArgumentError, ArgumentTypeError
            For any value that makes no sense.

        Examples
        --------
        >>> import easyconv as ec
        >>> model = ec.Sequential([ec.layers.Dense(3)])
        >>> model.compile("sgd", lr=0.1, metrics=["accuracy", "top2"])
        """
        arguments: dict[str, Any] = {
            "optimizer": optimizer,
            "loss": loss,
            "metrics": metrics,
            "lr": lr,
            "device": device,
            "precision": precision,
            "jit": jit,
            "clip_norm": clip_norm,
            "clip_value": clip_value,
            "accumulate": accumulate,
            "ema": ema,
            "channels_last": channels_last,
            "loss_weights": loss_weights,
        }
        recipe = make_recipe(**arguments)
        if self._session is not None:
            self._session.warn_of_dropped_state(recipe)
        self._session = Session(recipe, arguments)

    @checked_keywords(KERAS_WORDS)
    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | Literal["auto"] = DEFAULT_BATCH_SIZE,
        epochs: int = 1,
        verbose: Verbosity = "auto",
        callbacks: Callbacks = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Collection[int] = 1,
        seed: int | None = None,
        resume: str | os.PathLike[str] | RunFolder | None = None,
        on_oom: OnOutOfMemory = "raise",
    ) -> History:
        """Train. A second ``fit`` goes on where the first stopped.

        Parameters
        ----------
        x : tensor, array, list, part of a data set, Dataset, DataLoader or iterable of batches
            Inputs, nested where the net has several; a part of what `ec.data` makes, like ``data.train``; or a source
            of batches ``x``, ``(x, y)``, ``(x, y, sample_weight)`` or dicts.
        y : tensor, array or list, optional
            Targets; left out where ``x`` brings them.
        batch_size : int or "auto", default 32
            Rows per batch, where ``x`` is data. ``"auto"`` tries sizes from 32 to 1024 on a copy of the model, which
            takes some seconds, and takes the smallest that is nearly as fast as the fastest. It is shown, and kept in
            ``history.params["batch_size"]``; another machine may choose another one.
        epochs : int, default 1
            Number of the last epoch (as in Keras, not how many more: see ``initial_epoch``).
        verbose : {"auto", 0, 1, 2}, default "auto"
            0 silent, 1 a bar per epoch, 2 a line per epoch; ``"auto"`` is 1 in terminals and notebooks, 2 elsewhere.
        callbacks : Callback or list of Callback, optional
            See :mod:`easyconv.callbacks`.
        validation_split : float, default 0.0
            Share of the data to hold out: stratified for class labels, seeded. Not for loaders.
        validation_data : (x, y), (x, y, sample_weight), Dataset or source of batches, optional
            What to validate on after epochs.
        shuffle : bool, default True
            A new order each epoch, where ``x`` is data.
        class_weight : dict, list or "balanced", optional
            Weight of each class; ``"balanced"`` is n / (classes · count), from the training labels.
        sample_weight : array of shape (N,), optional
            Weight of each row; the mean loss is Σ w·l / N, as in Keras.
        initial_epoch : int, default 0
            Epoch to start at.
        steps_per_epoch : int, optional
            Batches per epoch; the next epoch goes on in the source where the last one stopped.
        validation_steps : int, optional
            Batches per validation.
        validation_batch_size : int, optional
            Rows per validation batch; ``batch_size`` by default.
        validation_freq : int or list of int, default 1
            Validate after every so many epochs, or after these (counted from 1).
        seed : int, optional
            Keys every random draw of this training: the order of a pass by the number of the pass, and what a step
            draws from torch, NumPy and ``random`` by the number of the step. Two runs with one seed are bit-identical
            on the CPU. The global random state is given back. Without it that is used as a plain loop would.
        resume : str, path or RunFolder, optional
            A folder in which this training keeps itself. When it holds this training already, it goes on from there, to
            the same bits as if it had never been interrupted; where it had ended, nothing is done. Draws are keyed then
            (``seed`` is 0 where it is not given). SIGTERM ends the batch, saves and ends the program with code 143. See
            `RunFolder` for how often it saves, and docs/reliability.md.
        on_oom : {"raise", "split"}, default "raise"
            When an accelerator's memory is too small for a batch: ``"split"`` puts it through the net in parts, half as
            many rows at once each time that memory runs out, and the optimizer gets the gradients of the whole batch.
            A warning says so once. Batch norms see each part by itself; a loss must be a mean over rows.

        Returns
        -------
        History
            Of this call; ``model.history`` spans all calls.

        Raises
        ------
        NotCompiledError
            Before ``compile``.
        DataError, DataTypeError
            For data that does not fit: before the first step, and with nothing changed.
        NonFiniteLossError
            When the loss or its gradients (`NonFiniteGradientError`) become NaN or infinite; the net has the weights,
            statistics and moments of before that batch, and the message says where it began.
        ResumeError
            When ``resume`` holds a training of another net, other data or other arguments; the message names them.
        FolderInUseError, FileWriteError, DamagedFileError
            When another process trains in the folder of ``resume``; when it cannot be written; when nothing in it can
            be loaded.
        KeyboardInterrupt
            After Ctrl-C: the batch is ended, weights and history are kept. A second Ctrl-C stops at once.

        Examples
        --------
        >>> import easyconv as ec, torch
        >>> model = ec.Sequential([ec.layers.Dense(2)])
        >>> model.compile(metrics=["accuracy"])
        >>> x = torch.randn(64, 5)
        >>> history = model.fit(x, (x[:, 0] > 0).long(), epochs=3, validation_split=0.25, seed=0, verbose=0)
        >>> sorted(history.history)
        ['accuracy', 'learning_rate', 'loss', 'val_accuracy', 'val_loss']
        """
        session = self._compiled("fit()")
        told = listeners(callbacks, verbose)
        with opened_run(resume, told) as folder:
            seed = 0 if folder is not None and seed is None else seed
            options = FitOptions(
                epochs, initial_epoch, steps_per_epoch, validation_steps, validation_freq, seed, on_oom
            )
            if isinstance(batch_size, str):
                from easyconv.model.batch_size import chosen_batch_size

                known = None if folder is None else folder.batch_size
                batch_size = known or chosen_batch_size(
                    self, x, y, word=batch_size, held_out=validation_split, verbose=verbose
                )
            training, validation = make_sources(
                x,
                y,
                sample_weight,
                batch_size=batch_size,
                shuffle=shuffle,
                validation_split=validation_split,
                validation_data=validation_data,
                validation_batch_size=validation_batch_size,
                seed=seed,
            )
            check_fitting(training, validation, self.preprocessing)
            return session.fit(
                self,
                self._overrides(),
                options,
                training=training,
                validation=validation,
                class_weight=class_weight,
                callbacks=told,
                verbose=verbose,
                history=self._history,
                keep=kept_in(folder),
            )

    def fine_tune(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 1,
        head_epochs: int = 1,
        lr: float | None = None,
        decay: float = 0.7,
        layer: str | None = None,
        **arguments: Any,
    ) -> History:
        """Train in two phases: first the head alone, then everything at lower rates.

        What a pretrained net knows would be spoiled by the large gradients of a head that knows nothing yet. So all but
        the head (and auxiliary heads) is frozen for ``head_epochs``, batch norms with it; then what was frozen here,
        and only that, is trained again.

        Parameters
        ----------
        x, y
            As in :meth:`fit`.
        epochs : int, default 1
            Epochs of the second phase.
        head_epochs : int, default 1
            Epochs of the first phase, with the optimizer of ``compile``; 0 leaves it out.
        lr : float, optional
            Learning rate of the head in the second phase; by default a tenth of that of ``compile``.
        decay : float, default 0.7
            In the second phase the rate of each stage is so many times that of the next one towards the head, see
            `ec.optim.layerwise`. 1 trains all alike. Within ``groups`` of the user's, ``no_bias_decay`` say, rates
            are lowered and divided in the same way, and keep their ratios.
        layer : str, optional
            Dotted name of the head, where it is not the last layer with weights.
        **arguments
            All that :meth:`fit` takes, by name; ``initial_epoch`` counts over both phases.

        Returns
        -------
        History
            Of both phases.

        Raises
        ------
        NotCompiledError
            Before ``compile``.
        ArgumentError
            When ``compile`` was given an optimizer, or a function that makes one: the second phase makes its own.
        LayerNotFoundError
            When there is no head.
        StateError
            When the head is frozen.

        Notes
        -----
        It is one training: data is split and prepared once, callbacks see one ``on_train_begin`` and one
        ``on_train_end``, epochs are numbered through, and ``stop_training`` ends all of it. The optimizer of the second
        phase stays: a later ``fit`` goes on with it, a later ``fine_tune`` begins with that of ``compile`` again.
        Layers that were frozen before stay frozen in both phases. After an error or Ctrl-C that is so too.

        References
        ----------
        Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018, section 3.3; the same
        two phases as Keras's guide to transfer learning and fastai's ``fine_tune``.

        Examples
        --------
        >>> import easyconv as ec
        >>> data = ec.data.load("digits")
        >>> model = ec.Sequential([ec.ConvBlock(4), ec.layers.GlobalAvgPool2D(), ec.layers.Dense(10)])
        >>> model.compile("adam", metrics=["accuracy"])
        >>> history = model.fine_tune(data.train, epochs=2, head_epochs=1, seed=0, verbose=0)
        >>> history.epoch
        [0, 1, 2]
        """
        session = self._compiled("fine_tune()")
        known = [name for name in inspect.signature(self.fit).parameters if name not in ("x", "y", "epochs")]
        check_keywords("fine_tune", arguments, [*known, "epochs", "head_epochs", "lr", "decay", "layer"], KERAS_WORDS)
        check_integer("epochs", epochs, minimum=0)
        check_integer("head_epochs", head_epochs, minimum=0)
        fine = session.fine(lr, decay)
        net = self._own_net()
        with ExitStack() as frozen:
            if head_epochs:
                heads = heads_of(net, self._head(layer))
                if all(is_frozen(head.layer) for head in heads):
                    raise StateError(
                        f"fine_tune() trains the head first, and {heads[0].name!r} is frozen. Call "
                        f"model.unfreeze({heads[0].name!r}), or leave the first phase out: head_epochs=0."
                    )
                frozen.enter_context(frozen_but(net, *(head.layer for head in heads)))
            with session.in_two_phases(SecondPhase(head_epochs, fine, frozen.close)):
                return self.fit(x, y, epochs=head_epochs + epochs, **arguments)

    @checked_keywords(KERAS_WORDS)
    def evaluate(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        verbose: Verbosity = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Callbacks = None,
        return_dict: bool = False,
    ) -> Results:
        """Loss and metrics on data, the net in eval mode.

        Parameters
        ----------
        x, y, batch_size, sample_weight, verbose, callbacks
            As in :meth:`fit`.
        steps : int, optional
            Batches to look at; all by default.
        return_dict : bool, default False
            Return names to numbers.

        Returns
        -------
        float, list of float, or dict
            The bare loss where there are no metrics; ``[loss, *metrics]`` in the order of ``compile`` otherwise (with
            the loss of each output after the total, where there are several); a dict when asked.

        Raises
        ------
        NotCompiledError
            Before ``compile``.
        DataError, DataTypeError
            For data that does not fit.
        """
        session = self._compiled("evaluate()")
        steps = None if steps is None else check_integer("steps", steps, minimum=1)
        source = make_source(x, y, sample_weight=sample_weight, batch_size=batch_size)
        warn_of_other_scale(source, self.preprocessing)
        check_classes(source, self.preprocessing, "the data that the net was trained on")
        told = listeners(callbacks, verbose)
        told.attach(self, verbose=verbose, steps=steps if steps is not None else source.steps)
        results = session.evaluate(self, self._overrides(), source, steps, told)
        return _as_asked(results, return_dict)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Results:
        """One optimizer step on one batch; returns the loss and metrics of this batch, like :meth:`evaluate`.

        Raises
        ------
        NonFiniteLossError
            As :meth:`fit` does, with the net as it was before.
        """
        session = self._compiled("train_on_batch()")
        source = one_batch(x, y, sample_weight)
        results = session.train_on_batch(self, self._overrides(), source, class_weight)
        return _as_asked(results, return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, *, return_dict: bool = False) -> Results:
        """Loss and metrics of one batch, like :meth:`evaluate`."""
        session = self._compiled("test_on_batch()")
        results = session.test_on_batch(self, self._overrides(), one_batch(x, y, sample_weight))
        return _as_asked(results, return_dict)

    def train_step(self, batch: Batch) -> StepResult | Mapping[str, Any]:
        """What happens to one training batch; override it to train in another way.

        Parameters
        ----------
        batch : Batch
            ``x, y, sample_weight = batch``, on the device.

        Returns
        -------
        StepResult or dict
            A dict needs ``"loss"``, and the names of the metrics where ``compile`` has any; all its values are averaged
            over the samples and logged. The optimizer is ``self.optimizer``; gradients are this method's business.
        """
        return train_step(self._compiled("train_step()").require_run(), batch)

    def test_step(self, batch: Batch) -> StepResult | Mapping[str, Any]:
        """What happens to one batch of ``evaluate``; override it like :meth:`train_step`."""
        return eval_step(self._compiled("test_step()").require_run(), batch)

    def compute_loss(self, output: Any, target: Any, sample_weight: Tensor | None = None) -> Tensor:
        """Mean loss of a batch; override it for a loss that needs more than ``compile(loss=...)`` can say.

        Parameters
        ----------
        output, target : tensor or nested tensors
            What the net gave, and what it should have given.
        sample_weight : Tensor of shape (N,), optional
            Weights of the rows.
        """
        return self._compiled("compute_loss()").recipe.objective(output, target, sample_weight)

    @property
    def history(self) -> History:
        """Rows of all epochs of all calls of ``fit``."""
        return self._history

    @property
    def optimizer(self) -> torch.optim.Optimizer | None:
        """The optimizer; ``None`` before the first ``fit`` after ``compile``."""
        return self._session.optimizer if self._session is not None else None

    @property
    def stop_training(self) -> bool:
        """Set it to ``True`` in a callback to end training after the present batch."""
        run = self._session.run if self._session is not None else None
        return run.stop if run is not None else False

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        run = self._session.run if self._session is not None else None
        if run is not None:
            run.stop = bool(value)

    def _hand_over(self, pairs: Mapping[Tensor, Tensor]) -> None:
        if self._session is not None:
            self._session.exchange(pairs)

    def _overrides(self) -> Overrides:
        def own(name: str) -> Any:
            return None if getattr(type(self), name) is getattr(Model, name) else getattr(self, name)

        def adopt(preprocessing: Preprocessing) -> None:
            if preprocessing.categories is None and self.preprocessing is not None:
                # Data without names does not take those away that the head was given.
                preprocessing = replace(preprocessing, categories=self.preprocessing.categories)
            self.preprocessing = preprocessing

        return Overrides(own("train_step"), own("test_step"), own("compute_loss"), self._note, adopt)


def _as_asked(results: dict[str, float], return_dict: bool) -> Results:
    if return_dict:
        return results
    values = list(results.values())
    return values[0] if len(values) == 1 else values
