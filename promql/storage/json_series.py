"""Read series from files: the JSON of recorded queries, or exposition text with times.

The JSON is an object with `series`: each has `labels` and `samples`, a list of [unix seconds, value], where the
strings "NaN", "+Inf" and "-Inf" stand for the numbers. A `.gz` file is unpacked first.
"""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from promql.storage.blocks import STALE_NAN
from promql.storage.exposition import ExpositionError, read_exposition
from promql.storage.labels import labels_of
from promql.storage.memory import Appended, MemoryStore

FILE_BYTES_MAX = 512 * 1024 * 1024
_WORDS = {"NaN": float("nan"), "+Inf": float("inf"), "Inf": float("inf"), "-Inf": float("-inf"), "stale": STALE_NAN}


class SeriesFileError(ValueError):
    """A data file that cannot be used; the text names the file, the place and what would do."""


def load_json_series(document: Any, store: MemoryStore, *, name: str = "data") -> int:
    """Append the series of a parsed JSON document and return how many samples were stored."""
    if not isinstance(document, dict) or not isinstance(document.get("series"), list):
        raise SeriesFileError(f'{name}: there is no list "series"; each of its entries needs "labels" and "samples"')
    stored = 0
    for index, entry in enumerate(document["series"]):
        place = f"{name}: series[{index}]"
        if not isinstance(entry, dict):
            raise SeriesFileError(f'{place} is no object; it needs "labels" and "samples"')
        labels = entry.get("labels")
        if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
            raise SeriesFileError(f"{place}.labels must be an object of strings")
        samples = entry.get("samples")
        if not isinstance(samples, list):
            raise SeriesFileError(f"{place}.samples must be a list of [unix seconds, value]")
        key = labels_of(labels)
        for at, sample in enumerate(samples):
            t_s, value = _sample(sample, f"{place}.samples[{at}]")
            outcome = store.append(key, t_s, value)
            if outcome in (Appended.OUT_OF_ORDER, Appended.DUPLICATE):
                raise SeriesFileError(f"{place}.samples[{at}] is refused: {outcome.value} at {t_s}")
            stored += outcome is Appended.STORED
    return stored


def _sample(sample: Any, place: str) -> tuple[float, float]:
    if not (isinstance(sample, list) and len(sample) == 2 and _is_number(sample[0])):
        raise SeriesFileError(f"{place} is {sample!r}; it must be [unix seconds, value]")
    value = sample[1]
    if isinstance(value, str):
        if value in _WORDS:
            return float(sample[0]), _WORDS[value]
        try:
            return float(sample[0]), float(value)
        except ValueError:
            raise SeriesFileError(f'{place} has the value {value!r}; use a number, "NaN", "+Inf" or "-Inf"') from None
    if not _is_number(value):
        raise SeriesFileError(f"{place} has the value {value!r}; it must be a number")
    return float(sample[0]), float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def load_file(path: Path, store: MemoryStore) -> int:
    """Append a file's series, or those of every .json, .gz, .txt, .prom and .om file of a folder.

    Returns:
        how many samples were stored.
    """
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if each.suffix in (".json", ".gz", ".txt", ".prom", ".om"))
        if not files:
            raise SeriesFileError(f"{path}: no .json, .gz, .txt, .prom or .om file in this folder")
        return sum(load_file(each, store) for each in files)
    text = _text_of(path)
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except ValueError as error:
            raise SeriesFileError(f"{path}: not valid JSON: {error}") from None
        return load_json_series(document, store, name=str(path))
    return _load_exposition(text, store, path)


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise SeriesFileError(f"{path}: larger than {FILE_BYTES_MAX // 2**20} MiB")
        if path.suffix != ".gz":
            return path.read_text(encoding="utf-8")
        with gzip.open(path) as packed:
            content = packed.read(FILE_BYTES_MAX + 1)
    except (OSError, UnicodeDecodeError, EOFError, zlib.error) as error:
        raise SeriesFileError(f"{path}: cannot be read: {error}") from None
    if len(content) > FILE_BYTES_MAX:
        raise SeriesFileError(f"{path}: unpacks to more than {FILE_BYTES_MAX // 2**20} MiB")
    return content.decode("utf-8", "replace")


def _load_exposition(text: str, store: MemoryStore, path: Path) -> int:
    try:
        samples = read_exposition(text).samples
    except ExpositionError as error:
        raise SeriesFileError(f"{path}: neither JSON series nor exposition text: {error}") from None
    if not samples:
        raise SeriesFileError(f"{path}: no samples in it")
    stored = 0
    for sample in sorted(samples, key=lambda each: each.t_s or 0.0):
        if sample.t_s is None:
            raise SeriesFileError(f"{path}: {dict(sample.labels)} has no timestamp; a data file needs one per sample")
        stored += store.append(sample.labels, sample.t_s, sample.value) is Appended.STORED
    return stored
