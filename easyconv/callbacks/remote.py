"""News of training to a server of the user's."""

import http.client
import json
import math
import numbers
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from easyconv.arguments import check_flag, check_number
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.notices import warn_user
from easyconv.training.callback import Callback, Logs

__all__ = ["RemoteMonitor"]


class RemoteMonitor(Callback):
    """Send the logs of each epoch to a server, by HTTP POST.

    What goes wrong is told once, in a warning, and never ends training.

    Parameters
    ----------
    root : str, default "http://localhost:9000"
        The server, with ``http://`` or ``https://``.
    path : str, default "/publish/epoch/end/"
        Joined to ``root``.
    field : str, default "data"
        Name of the form's field that holds the JSON text; not used with ``send_as_json``.
    headers : dict of str to str, optional
        More headers.
    send_as_json : bool, default False
        Send the JSON itself, as ``application/json``.
    timeout : float, default 5.0
        Seconds to wait for the server.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When ``root`` is no address of a web server, or another argument makes no sense.

    Notes
    -----
    The JSON is ``{"epoch": 0, "loss": 0.5, ...}``, epochs from 0; NaN and infinity, which JSON lacks, become ``null``.

    Examples
    --------
    >>> from easyconv.callbacks import RemoteMonitor
    >>> RemoteMonitor("http://localhost:9000", send_as_json=True).address
    'http://localhost:9000/publish/epoch/end/'
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        *,
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
        timeout: float = 5.0,
    ) -> None:
        super().__init__()
        for name, value in {"root": root, "path": path, "field": field}.items():
            if not isinstance(value, str):
                raise ArgumentTypeError(f"{name} must be text, got {value!r} ({type(value).__name__}).")
        if not root.startswith(("http://", "https://")):
            raise ArgumentError(f"root must be a web address like 'http://localhost:9000', got {root!r}.")
        self.address = root + path
        self.field = field
        self.headers = dict(headers or {})
        self.send_as_json = check_flag("send_as_json", send_as_json)
        self.timeout = check_number("timeout", timeout, above=0)
        self._told = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Tell of failures again."""
        self._told = False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Send."""
        text = json.dumps({"epoch": epoch, **{name: _plain(value) for name, value in (logs or {}).items()}})
        kind = "json" if self.send_as_json else "x-www-form-urlencoded"
        body = text if self.send_as_json else urllib.parse.urlencode({self.field: text})
        headers = {"Content-Type": f"application/{kind}", **self.headers}
        try:
            request = urllib.request.Request(self.address, body.encode(), headers, method="POST")
            with urllib.request.urlopen(request, timeout=self.timeout):
                pass
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        told, self._told = self._told, True
        if not told:
            warn_user(f"RemoteMonitor could not reach {self.address}: {error}. Training goes on without it.")


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    return str(value)
