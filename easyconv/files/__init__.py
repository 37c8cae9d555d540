"""Files that are whole or not there, that notice a flipped bit, and that hold nothing but data."""

from easyconv.files.checkpoints import Checkpoint, CheckpointFolder
from easyconv.files.lock import FolderLock
from easyconv.files.state import FORMAT_VERSION, State, check_unaltered, is_state_file, read_state, write_state
from easyconv.files.whole import CACHE_VARIABLE, cache_folder, check_writable, write_errors_explained, write_whole

__all__ = [
    "CACHE_VARIABLE",
    "FORMAT_VERSION",
    "Checkpoint",
    "CheckpointFolder",
    "FolderLock",
    "State",
    "cache_folder",
    "check_unaltered",
    "check_writable",
    "is_state_file",
    "read_state",
    "write_errors_explained",
    "write_state",
    "write_whole",
]
