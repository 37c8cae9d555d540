"""What a net answers: outputs, probabilities, classes, names, embeddings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from easyconv.arguments import check_flag, check_integer, checked_keywords
from easyconv.augment.views import as_views
from easyconv.callbacks.progress import Verbosity, progress_callbacks
from easyconv.data.preprocessing import Preprocessing
from easyconv.data.sources.batch import Batch
from easyconv.data.sources.make import DEFAULT_BATCH_SIZE, Source, make_source
from easyconv.errors import ArgumentError, NotCompiledError, StateError
from easyconv.inference.fast import FastCopies
from easyconv.layers.initializers import InitLike
from easyconv.model.classifying import classification, file_of, listed, prepared_batches, softmax
from easyconv.model.consistency import warn_of_bare_images, warn_of_other_scale
from easyconv.model.transferable import Transferable
from easyconv.model.words import KERAS_WORDS
from easyconv.notices import warn_user
from easyconv.training.answering import Choice, as_it_is, by_a_copy, by_the_net
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

    _copies: FastCopies | None = None
    """What ``fast=True`` has made."""

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
        batch_size: int | None = None,
        verbose: Verbosity = "auto",
        steps: int | None = None,
        callbacks: Callbacks = None,
        tta: Any = None,
        fast: bool = False,
    ) -> Any:
        """The raw outputs of the net, as NumPy arrays.

        Works before ``compile`` too: the net then stays on the device where it is.

        Parameters
        ----------
        x, verbose, callbacks
            As in :meth:`fit`; targets that a source brings are left out.
        batch_size : int, optional
            Rows at a time, where ``x`` is data. By default as many as are fastest: 32 to 256 on a CPU, up to 1024
            elsewhere; 32 with ``steps``. How many go together changes no answer, but for the last bits.
        steps : int, optional
            Batches to predict; all by default.
        tta : "flip", "ten_crop", Views or list of Transform, optional
            Test-time augmentation: the outputs for several views of each image are averaged. ``"flip"``: as it is and
            mirrored; ``"ten_crop"``: the corners and the centre, of the size that the net takes, and their mirror
            images, as AlexNet did; or `ec.augment.TenCrop(224)` and its like.
        fast : bool, default False
            Let a copy of the net answer: batch norms folded into the convolutions before them, bfloat16 where the
            device has instructions for it. Answers differ in the third digit then; see docs/predicting.md for what
            that does to accuracy. The copy is kept while the net does not change.

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
        return to_numpy(self._outputs(x, batch_size, verbose, steps, callbacks, tta=tta, fast=fast))

    def predict_proba(
        self,
        x: Any,
        *,
        batch_size: int | None = None,
        verbose: Verbosity = "auto",
        tta: Any = None,
        fast: bool = False,
    ) -> Any:
        """Probabilities, as the loss implies them: softmax for ``cross_entropy``, sigmoid for ``bce``.

        With ``tta``, as in :meth:`predict`, the probabilities for the views are averaged, not the outputs; the other
        arguments are those of :meth:`predict` too.

        Raises
        ------
        StateError
            When the loss implies none.
        """
        activation = self._compiled("predict_proba()").recipe.objective.activation
        found = _implied(activation, "probabilities", self._compiled("predict_proba()"))
        return to_numpy(self._outputs(x, batch_size, verbose, tta=tta, finish=found, fast=fast))

    def predict_classes(
        self,
        x: Any,
        *,
        batch_size: int | None = None,
        verbose: Verbosity = "auto",
        tta: Any = None,
        fast: bool = False,
    ) -> Any:
        """Class numbers, as the loss implies them: the largest output, or 1 above one half for ``bce``.

        With ``tta``, as in :meth:`predict`, of the averaged outputs; the other arguments are those of :meth:`predict`
        too.

        Raises
        ------
        StateError
            When the loss implies none.
        """
        classes = self._compiled("predict_classes()").recipe.objective.classes
        found = _implied(classes, "classes", self._compiled("predict_classes()"))
        return to_numpy(found(self._outputs(x, batch_size, verbose, tta=tta, fast=fast)))

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
            return to_numpy(self._outputs(x, batch_size, verbose, choose=as_it_is(step)))

    def predict_on_batch(self, x: Any) -> Any:
        """The raw outputs for one batch, as NumPy arrays."""
        return to_numpy(self._predict(one_batch(x), None, CallbackList([]), as_it_is(self.predict_step)))

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
        batch_size: int | None,
        verbose: Verbosity,
        steps: int | None = None,
        callbacks: Callbacks = None,
        *,
        tta: Any = None,
        finish: Callable[[Any], Any] | None = None,
        choose: Choice | None = None,
        fast: bool = False,
    ) -> Any:
        views = None if tta is None else as_views(tta, size=self._image_size())
        steps = None if steps is None else check_integer("steps", steps, minimum=1)
        choose = choose or self._answering(check_flag("fast", fast))
        source = make_source(x, batch_size=DEFAULT_BATCH_SIZE if batch_size is None else batch_size)
        warn_of_other_scale(source, self.preprocessing)
        told = listeners(callbacks, verbose)
        resize = batch_size is None and steps is None

        def attach(batches: int | None) -> None:
            told.attach(self, verbose=verbose, steps=batches)

        return self._predict(source, steps, told, choose, attach, resize=resize, views=views, finish=finish)

    def _predict(
        self,
        source: Source,
        steps: int | None,
        callbacks: CallbackList,
        choose: Choice,
        attach: Callable[[int | None], None] = lambda batches: None,
        **options: Any,
    ) -> Any:
        def ready(inputs: Any, batches: int | None) -> None:
            self._note(inputs, source, None)
            attach(batches)

        device = self._session.recipe.device if self._session is not None else device_of(self)
        return predict(self, source, choose, device=device, steps=steps, callbacks=callbacks, ready=ready, **options)

    def _answering(self, fast: bool) -> Choice:
        """How batches are answered; a step of the user's is called as it is."""
        if type(self).predict_step is not Predictor.predict_step:
            if fast:
                warn_user("fast=True has no effect: predict_step() is your own, and only you know what it does.")
            return as_it_is(self.predict_step)
        recipe = None if self._session is None else self._session.recipe
        usual = by_the_net(self, self.predict_step, recipe)
        if not fast:
            return usual
        if self._copies is None:
            self._copies = FastCopies()
        return by_a_copy(self, self._copies, without=self._session, otherwise=usual)

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
