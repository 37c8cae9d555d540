"""What a net answers: outputs, probabilities, classes, names, embeddings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from easyconv.arguments import check_integer, checked_keywords
from easyconv.callbacks.progress import Verbosity, progress_callbacks
from easyconv.data.augment.views import Views, as_views
from easyconv.data.preprocessing import Preprocessing
from easyconv.data.sources.batch import Batch
from easyconv.data.sources.make import DEFAULT_BATCH_SIZE, Source, make_source
from easyconv.errors import ArgumentError, NotCompiledError, StateError
from easyconv.layers.initializers import InitLike
from easyconv.model.classifying import classification, file_of, listed, prepared_batches, softmax
from easyconv.model.consistency import warn_of_bare_images, warn_of_other_scale
from easyconv.model.transferable import Transferable
from easyconv.model.words import KERAS_WORDS
from easyconv.training.callback import Callback, CallbackList
from easyconv.training.embedding import watched
from easyconv.training.predicting import device_of, predict, to_numpy
from easyconv.training.session import Session
from easyconv.training.steps import predict_step

__all__ = ["Callbacks", "Predictor", "listeners", "one_batch"]

Callbacks = Callback | Sequence[Callback] | None


class Predictor(Transferable):
    """A module that answers for whole data sets; :class:`Model` adds training.

    Parameters
    ----------
    net, input_shape, name, init
        As for `Buildable`.
    """

    def __init__(
        self, net: nn.Module | None = None, *, input_shape: Any = None, name: str | None = None, init: InitLike = None
    ) -> None:
        super().__init__(net, input_shape=input_shape, name=name, init=init)
        self._session: Session | None = None

    @checked_keywords(KERAS_WORDS)
    def predict(
        self,
        x: Any,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        verbose: Verbosity = "auto",
        steps: int | None = None,
        callbacks: Callbacks = None,
        tta: Any = None,
    ) -> Any:
        """The raw outputs of the net, as NumPy arrays.

        Works before ``compile`` too: the net then stays on the device where it is.

        Parameters
        ----------
        x, batch_size, verbose, callbacks
            As in :meth:`fit`; targets that a source brings are left out.
        steps : int, optional
            Batches to predict; all by default.
        tta : "flip", "ten_crop", Views or list of Transform, optional
            Test-time augmentation: the outputs for several views of each image are averaged. ``"flip"``: as it is and
            mirrored; ``"ten_crop"``: the corners and the centre, of the size that the net takes, and their mirror
            images, as AlexNet did; or `ec.augment.TenCrop(224)` and its like.

        Returns
        -------
        numpy.ndarray, or tuple or dict of them
            A row per row of ``x``; float32 where the net computes in less.

        Raises
        ------
        DataError, DataTypeError
            For data that does not fit.

        Examples
        --------
        >>> import easyconv as ec, numpy as np
        >>> model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(10)])
        >>> model.predict(np.zeros((5, 8, 8))).argmax(axis=1).shape
        (5,)
        """
        return to_numpy(self._outputs(x, batch_size, verbose, steps, callbacks, tta=tta))

    def predict_proba(
        self, x: Any, *, batch_size: int = DEFAULT_BATCH_SIZE, verbose: Verbosity = "auto", tta: Any = None
    ) -> Any:
        """Probabilities, as the loss implies them: softmax for ``cross_entropy``, sigmoid for ``bce``.

        With ``tta``, as in :meth:`predict`, the probabilities for the views are averaged, not the outputs.

        Raises
        ------
        StateError
            When the loss implies none.
        """
        activation = self._compiled("predict_proba()").recipe.objective.activation
        found = _implied(activation, "probabilities", self._compiled("predict_proba()"))
        return to_numpy(self._outputs(x, batch_size, verbose, tta=tta, finish=found))

    def predict_classes(
        self, x: Any, *, batch_size: int = DEFAULT_BATCH_SIZE, verbose: Verbosity = "auto", tta: Any = None
    ) -> Any:
        """Class numbers, as the loss implies them: the largest output, or 1 above one half for ``bce``.

        With ``tta``, as in :meth:`predict`, of the averaged outputs.

        Raises
        ------
        StateError
            When the loss implies none.
        """
        classes = self._compiled("predict_classes()").recipe.objective.classes
        found = _implied(classes, "classes", self._compiled("predict_classes()"))
        return to_numpy(found(self._outputs(x, batch_size, verbose, tta=tta)))

    def classify(self, pictures: Any, *, batch_size: int = DEFAULT_BATCH_SIZE) -> Any:
        """What pictures show, by name: from files as they come, with the preprocessing that the net was trained with.

        Parameters
        ----------
        pictures : path, PIL image, uint8 tensor (C, H, W), or list of these
            A folder stands for all pictures in it, in the order of their names.
        batch_size : int, default 32
            Pictures at a time.

        Returns
        -------
        Classification, or list of Classification
            ``label``, ``probability``, ``probabilities`` (names to numbers, the likeliest first) and ``file``; a list
            for a list or a folder. Probabilities as the loss implies them; softmax before ``compile``.

        Raises
        ------
        StateError
            When ``model.preprocessing`` is not known, or the loss does not imply probabilities.
        DataError
            For a file that is no picture; it is named.
        EmptyDataError, ArgumentTypeError
            When there is no picture, or something else.

        Examples
        --------
        >>> import easyconv as ec
        >>> data = ec.data.load("digits")
        >>> model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(10)])
        >>> model.compile()
        >>> history = model.fit(data.train, epochs=5, seed=0, verbose=0)
        >>> answer = model.classify(data.test[0][0])
        >>> answer.label in data.class_names, 0.0 < answer.probability <= 1.0
        (True, True)
        """
        chosen, single = listed(pictures)
        size = check_integer("batch_size", batch_size, minimum=1)
        session = self._session
        activation = (
            softmax if session is None else _implied(session.recipe.objective.activation, "probabilities", session)
        )
        names = None if self.preprocessing is None else self.preprocessing.categories
        batches = prepared_batches(chosen, self.preprocessing, size)
        rows = [row for batch in batches for row in self._outputs(batch, size, 0, finish=activation).float()]
        answers = [classification(row, names, file_of(it)) for row, it in zip(rows, chosen, strict=True)]
        return answers[0] if single else answers

    @checked_keywords(KERAS_WORDS)
    def embed(
        self,
        x: Any,
        *,
        layer: str | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
        verbose: Verbosity = "auto",
    ) -> Any:
        """Vectors that stand for the inputs: what reaches the head, or what another layer gives.

        Inputs that are alike to the net lie near one another; see `ec.visualize.neighbors`.

        Parameters
        ----------
        x, batch_size, verbose
            As in :meth:`predict`.
        layer : str, optional
            Dotted name of a layer, whose output is taken. By default the input of the head, the last layer with
            weights, as :meth:`replace_head` finds it.

        Returns
        -------
        numpy.ndarray
            Shape (N, D). Maps (N, C, H, W) are averaged over their positions; other shapes are flattened.

        Raises
        ------
        LayerNotFoundError
            When there is no such layer.
        StateError
            When the layer is not run, or several times, or gives no single tensor.
        DataError, DataTypeError
            For data that does not fit.

        Examples
        --------
        >>> import torch, easyconv as ec
        >>> model = ec.zoo.resnet20(num_classes=10)
        >>> model.embed(torch.rand(4, 3, 32, 32), verbose=0).shape
        (4, 64)
        """
        head = self._head() if layer is None else None
        module = self.get_layer(layer) if head is None else head.layer
        name = str(layer) if head is None else head.name
        with watched(self, module, name, before=head is not None) as step:
            return to_numpy(self._outputs(x, batch_size, verbose, step=step))

    def predict_on_batch(self, x: Any) -> Any:
        """The raw outputs for one batch, as NumPy arrays."""
        return to_numpy(self._predict(one_batch(x), None, CallbackList([])))

    def predict_step(self, batch: Batch) -> Any:
        """The outputs for one batch of ``predict``; override it to return something else."""
        return predict_step(self, self._session.recipe if self._session is not None else None, batch)

    def _compiled(self, action: str) -> Session:
        if self._session is None:
            raise NotCompiledError(
                f"{action} needs to know how to train: call compile() first, for example "
                "model.compile(optimizer='adam', loss='cross_entropy', metrics=['accuracy'])."
            )
        return self._session

    def _outputs(
        self,
        x: Any,
        batch_size: int,
        verbose: Verbosity,
        steps: int | None = None,
        callbacks: Callbacks = None,
        *,
        tta: Any = None,
        finish: Callable[[Any], Any] | None = None,
        step: Callable[[Batch], Any] | None = None,
    ) -> Any:
        views = None if tta is None else as_views(tta, size=self._image_size())
        steps = None if steps is None else check_integer("steps", steps, minimum=1)
        source = make_source(x, batch_size=batch_size)
        warn_of_other_scale(source, self.preprocessing)
        told = listeners(callbacks, verbose)
        told.attach(self, verbose=verbose, steps=steps if steps is not None else source.steps)
        return self._predict(source, steps, told, views=views, finish=finish, step=step)

    def _predict(
        self,
        source: Source,
        steps: int | None,
        callbacks: CallbackList,
        *,
        views: Views | None = None,
        finish: Callable[[Any], Any] | None = None,
        step: Callable[[Batch], Any] | None = None,
    ) -> Any:
        device = self._session.recipe.device if self._session is not None else device_of(self)
        return predict(
            self,
            source,
            self.predict_step if step is None else step,
            device=device,
            steps=steps,
            callbacks=callbacks,
            note=self._note,
            views=views,
            finish=finish,
        )

    def _note(self, inputs: Any, source: Source, trained_on: Preprocessing | None) -> None:
        """Remember what the net gets, and see that it is of the scale of what the net was trained on."""
        self._note_inputs(inputs)
        if source.preprocessing is None:
            warn_of_bare_images(inputs, self.preprocessing if trained_on is None else trained_on)

    def _image_size(self) -> tuple[int, int] | None:
        """Height and width of the images that the net takes, where it has seen any."""
        seen = self._inputs
        return (seen.shape[2], seen.shape[3]) if isinstance(seen, Tensor) and seen.dim() == 4 else None


def listeners(callbacks: Callbacks, verbose: Verbosity) -> CallbackList:
    """The user's callbacks, then progress, so that it shows what they have added to the logs."""
    shown = progress_callbacks(verbose)
    if callbacks is None:
        return CallbackList(shown)
    if isinstance(callbacks, (str, Mapping, Callback)) or not isinstance(callbacks, Iterable):
        return CallbackList([callbacks, *shown])
    return CallbackList([*callbacks, *shown])


def _implied(function: Any, what: str, session: Session) -> Any:
    if function is None:
        name = session.recipe.objective.name
        raise StateError(f"The loss {name!r} does not say what the {what} are; use predict() and compute them.")
    return function


def one_batch(x: Any, y: Any = None, sample_weight: Any = None) -> Source:
    """All rows as one batch.

    Raises
    ------
    ArgumentError
        For a source of batches.
    """
    source = make_source(x, y, sample_weight=sample_weight)
    if source.rows is None or source.batch_size is None:
        raise ArgumentError("The calls for one batch take data (tensors, arrays, lists), not a source of batches.")
    return make_source(x, y, sample_weight=sample_weight, batch_size=source.rows)
