"""What a model does with files: weights, the whole of it, and forms that other programs read."""

import os
from pathlib import Path

from easyconv import saving
from easyconv.errors import NotBuiltError
from easyconv.model.archive import save
from easyconv.model.predictor import Predictor
from easyconv.saving.exporting import Format

__all__ = ["Savable"]


class Savable(Predictor):
    """A module that goes into files and comes back; :class:`Model` adds training."""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the whole model as one file, from which `easyconv.load` makes it without the code that made it.

        In it are the layers, their weights and what is frozen; what ``compile`` was told, the optimizer's state and the
        history, so that training goes on; the names of the classes and the preprocessing, so that ``classify`` works.
        It is data only (safetensors): loading it runs nothing. A checksum tells when a bit of it has changed, and an
        older file of that name survives a crash or a full disk.

        Parameters
        ----------
        path : str or path
            ``"digits.safetensors"``, or any other ending than those of torch's and Keras's files.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        ArgumentTypeError
            When the model is not made of ``torch.nn``, ``ec.layers`` and ``ec.zoo`` alone: a class or function of
            yours is code, which a file of data cannot hold. `save_weights` and `export` take such models.
        NotBuiltError
            When sizes are not known yet.
        FileWriteError
            When the file cannot be written; an older one is untouched.

        Warns
        -----
        EasyconvWarning
            When what ``compile`` was told, or the preprocessing, is a function of yours: it is left out.

        Examples
        --------
        >>> import easyconv as ec, tempfile, torch
        >>> model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(3)], input_shape=(1, 2, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = model.save(f"{folder}/model.safetensors")
        ...     twin = ec.load(path)
        >>> x = torch.rand(5, 1, 2, 2)
        >>> bool((twin(x) == model(x)).all())
        True
        """
        self._complete("save()")
        return save(self, path)

    def export(self, path: str | os.PathLike[str], format: Format = "onnx") -> Path:  # noqa: A002 (the field's word)
        """Write the net in a form that runs without easyconv and without the code that made it.

        The outputs of the file are compared with those of the net, for several sizes of batch, before it has its name.

        Parameters
        ----------
        path : str or path
            ``"net.onnx"``, ``"net.pt2"``.
        format : {"onnx", "torch"}, default "onnx"
            ``"onnx"``, for ONNX Runtime and many other programs, needs ``pip install "easyconv[onnx]"``; ``"torch"`` is
            what ``torch.export.load`` reads. Both take batches of any size, and give what the net gives in evaluation.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        NotBuiltError
            When nobody has said yet what the inputs look like.
        ExportError
            When torch cannot follow what the net does, or the outputs are others than the net's.
        MissingExtraError
            When a package is missing.
        FileWriteError
            When the file cannot be written; an older one is untouched.

        Examples
        --------
        >>> import easyconv as ec, tempfile, torch
        >>> model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(3)], input_shape=(1, 2, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     program = torch.export.load(model.export(f"{folder}/net.pt2", format="torch"))
        >>> program.module()(torch.rand(5, 1, 2, 2)).shape
        torch.Size([5, 3])
        """
        self._complete("export()")
        if self._inputs is None:
            raise NotBuiltError(
                "export() needs the shape of the inputs, and this model has seen none yet. Call "
                "model.build((3, 32, 32)), channels first and without the batch."
            )
        return saving.export(self._own_net(), self._inputs, path, format)

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and buffers under the net's own keys, so that plain torch loads them.

        Parameters
        ----------
        path : str or path
            ``.safetensors`` writes that format, every other ending (``.pt``, ``.pth``) a torch file. It is written
            beside its place and renamed: an older file survives a crash or a full disk.

        Raises
        ------
        NotBuiltError
            When sizes are not known yet.
        FileWriteError
            When the file cannot be written.
        """
        saving.save_weights(self._own_net(), path)

    def load_weights(
        self, path: str | os.PathLike[str], *, strict: bool = True, skip_mismatch: bool = False
    ) -> saving.LoadResult:
        """Read parameters and buffers. Nothing in the file is executed; a file that does not fit changes nothing.

        Parameters
        ----------
        path : str or path
            A file of ``save_weights`` or of ``save``, or a ``state_dict`` that plain torch or safetensors has saved.
            What wrappers put before the keys (``module.``, ``_orig_mod.``) is taken away.
        strict : bool, default True
            Refuse missing and unexpected keys; ``False`` loads what fits and returns the rest.
        skip_mismatch : bool, default False
            Leave out layers whose tensors have other shapes in the file, as a new head does.

        Returns
        -------
        LoadResult
            ``missing``, ``unexpected`` and ``skipped`` keys.

        Raises
        ------
        FileMissingError
            When there is no such file.
        WeightsError
            When the file is damaged, holds anything but tensors, or does not fit.
        """
        return saving.load_weights(self._own_net(), path, strict, skip_mismatch=skip_mismatch)
