"""Where samples live: the plain store, blocks with a run axis, and readers of exposition text and JSON series."""

from promql.storage.blocks import STALE_NAN, ArrayBlock, Block, BlockStore, Store, is_stale
from promql.storage.exposition import Target, read_exposition
from promql.storage.gathering import Gathering
from promql.storage.json_series import SeriesFileError, families_in, files_in, load_file, load_files, load_json_series
from promql.storage.labels import Labels, labels_of
from promql.storage.memory import Appended, MemoryStore

__all__ = [
    "STALE_NAN",
    "Appended",
    "ArrayBlock",
    "Block",
    "BlockStore",
    "Gathering",
    "Labels",
    "MemoryStore",
    "SeriesFileError",
    "Store",
    "Target",
    "families_in",
    "files_in",
    "is_stale",
    "labels_of",
    "load_file",
    "load_files",
    "load_json_series",
    "read_exposition",
]
