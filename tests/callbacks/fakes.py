"""What takes the place of packages and servers: each keeps what it was told."""

import http.server
import sys
import threading
import types
from functools import cache
from typing import Any

TOLD: list[tuple[Any, ...]] = []
"""All that the fakes were told, in its order."""


class SummaryWriter:
    def __init__(self, log_dir):
        self.log_dir = log_dir
        self.open = True

    def add_scalar(self, tag, value, step):
        assert self.open
        TOLD.append(("scalar", self.log_dir, tag, value, step))

    def add_histogram(self, tag, values, step):
        TOLD.append(("histogram", self.log_dir, tag, tuple(values.shape), step))

    def add_images(self, tag, images, step):
        TOLD.append(("images", self.log_dir, tag, tuple(images.shape), step))

    def add_graph(self, model, inputs):
        model(*inputs)

    def flush(self):
        pass

    def close(self):
        self.open = False


class WandbRun:
    def __init__(self, run_id):
        self.id = run_id
        self.config = {}

    def log(self, row):
        TOLD.append(("wandb", self.id, row))

    def finish(self):
        sys.modules["wandb"].run = None


def _wandb():
    module = types.ModuleType("wandb")
    module.run = None

    def init(project=None, name=None, id=None, resume=None, config=None, **more):  # noqa: A002
        module.run = WandbRun(id or "fresh")
        module.asked = {"project": project, "name": name, "id": id, "resume": resume, "config": config, **more}
        return module.run

    module.init = init
    return module


def _mlflow():
    module = types.ModuleType("mlflow")
    module.active, module.calls = None, []

    def start_run(run_id=None, run_name=None):
        module.calls.append(("start_run", run_id, run_name))
        module.active = types.SimpleNamespace(info=types.SimpleNamespace(run_id=run_id or "fresh"))
        return module.active

    def end_run():
        module.calls.append(("end_run",))
        module.active = None

    module.active_run = lambda: module.active
    module.start_run, module.end_run = start_run, end_run
    module.set_tracking_uri = lambda uri: module.calls.append(("uri", uri))
    module.set_experiment = lambda name: module.calls.append(("experiment", name))
    module.log_params = lambda config: module.calls.append(("params", config))
    module.log_metrics = lambda row, step: TOLD.append(("mlflow", row, step))
    return module


def install(monkeypatch):
    """Put fakes where TensorBoard, Weights & Biases and MLflow would be imported from."""
    TOLD.clear()
    tensorboard = types.ModuleType("torch.utils.tensorboard")
    tensorboard.SummaryWriter = SummaryWriter
    for module in (tensorboard, _wandb(), _mlflow()):
        monkeypatch.setitem(sys.modules, module.__name__, module)


class Handler(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        TOLD.append(("post", self.path, self.headers["Content-Type"], body))
        self.send_response(Handler.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@cache
def server() -> str:
    """Address of a server that runs as long as the tests do."""
    running = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{running.server_port}"
