# One command per verb; each sets up what it needs in .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Two tests at a time on two cores: one thread each, or they wait for one another.
TEST_ENVIRONMENT := OMP_NUM_THREADS=1

.PHONY: help quickstart mnist residuals folder transfer cifar speedrun neverlost test torture check format bench bench-data bench-safety augmentations zoo clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

quickstart: $(VENV)/.tutorials ## train a small net on handwritten digits, in less than a minute
	$(BIN)/python tutorials/01_quickstart.py

mnist: $(VENV)/.tutorials ## the course's two nets on MNIST
	$(BIN)/python tutorials/02_mnist.py

residuals: $(VENV)/.tutorials ## ten residual blocks compared on MNIST; ten minutes
	$(BIN)/python tutorials/03_residual_variants.py

folder: $(VENV)/.tutorials ## CIFAR-10's JPEG files, or a folder of yours, to a classifier; five minutes
	$(BIN)/python tutorials/04_image_folder.py

transfer: $(VENV)/.tutorials ## digits 0 to 4 to digits 5 to 9, from a handful of pictures; two minutes
	$(BIN)/python tutorials/05_transfer.py

cifar: $(VENV)/.tutorials ## CIFAR-10 to 85 % on a CPU; ten minutes
	$(BIN)/python tutorials/06_cifar10.py

speedrun: $(VENV)/.tutorials ## CIFAR-10 to 70 % in seconds on a CPU; with a GPU the recipe for 94 %
	$(BIN)/python tutorials/07_cifar10_speedrun.py

neverlost: $(VENV)/.tutorials ## a training that is killed three times, and ends with the bits of one that was not; a minute
	$(BIN)/python tutorials/08_never_lose_a_run.py

test: $(VENV)/.dev ## all tests, doctests included
	$(TEST_ENVIRONMENT) $(BIN)/python -m pytest -n auto

torture: $(VENV)/.dev ## full-size nets with real numbers, 400 kills of saves, 600 of trainings, every export; an hour, 4 GB of memory
	$(BIN)/python -m pytest -m torture

check: $(VENV)/.dev ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## let ruff format the code and sort the imports
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(VENV)/.bench ## easyconv beside loops and six other libraries; makes docs/benchmarks.md; half an hour
	$(BIN)/python tests/benchmarks run
	$(BIN)/python tests/benchmarks report

bench-data: $(VENV)/.dev ## samples per second, beside a DataLoader and torchvision's transforms
	$(BIN)/python tests/benchmarks/data_path.py

bench-safety: $(VENV)/.dev ## what resume= costs, on MNIST; a quarter of an hour
	$(BIN)/python tests/benchmarks/safety.py

augmentations: $(VENV)/.dev ## make the pictures in docs/augmentation.md
	$(BIN)/python docs/augment_pictures.py

zoo: $(VENV)/.dev ## make the table of nets in docs/zoo.md
	$(BIN)/python docs/zoo_table.py

clean: ## remove the virtual environment and all caches
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.tutorials: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[tutorials]"
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@ $(VENV)/.tutorials

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	@touch $@ $(VENV)/.tutorials

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
