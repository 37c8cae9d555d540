"""Start the command line, from wherever this folder is run."""

import sys
from pathlib import Path

# The folder above takes the place of this one: modules here must not hide others of the same name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.commands import main  # noqa: E402

if __name__ == "__main__":
    main()
