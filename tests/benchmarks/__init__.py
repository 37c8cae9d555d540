"""easyconv beside loops written by hand and beside other libraries: ``python tests/benchmarks --help``.

`commands.py` is the command line. It has `runner.py` start one process per contestant (`worker.py`) and ask each for
one repetition per round. What is to be done is in `workloads.py`; how each contestant does it, in `contestants/`, one
file per library. `imports.py`, `memory.py` and `fit_cost.py` measure what is no workload. All goes into one JSON file,
of which `report.py` and `picture.py` make docs/benchmarks.md and its picture. `data_path.py` stands by itself.
"""
