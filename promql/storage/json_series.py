"""Read series from files: the JSON of recorded queries, or exposition text with times.

The JSON is an object with `series`: each has `labels` and `samples`, a list of [unix seconds, value], where the
strings "NaN", "+Inf" and "-Inf" stand for the numbers. A `.gz` file is unpacked first.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from promql.storage.blocks import STALE_NAN
from promql.storage.exposition import Exposition, ExpositionError, Family, is_openmetrics
from promql.storage.exposition_lines import read_lines
from promql.storage.gathering import Gathered, Gathering
from promql.storage.labels import labels_of
from promql.storage.memory import Appended, MemoryStore, bits_of

FILE_BYTES_MAX = 512 * 1024 * 1024
_ENDINGS = (".json", ".gz", ".txt", ".prom", ".om")
_WORDS = {"NaN": float("nan"), "+Inf": float("inf"), "Inf": float("inf"), "-Inf": float("-inf"), "stale": STALE_NAN}


class SeriesFileError(ValueError):
    """A data file that cannot be used; the text names the file, the place and what would do."""


def load_json_series(document: Any, store: MemoryStore, *, name: str = "data") -> int:
    """Append the series of a parsed JSON document and return how many samples were stored."""
    gathered = Gathered()
    _gather_json(document, gathered, name)
    return gathered.store_in(store).stored


def _gather_json(document: Any, gathered: Gathered, name: str) -> None:
    if not isinstance(document, dict) or not isinstance(document.get("series"), list):
        raise SeriesFileError(f'{name}: there is no list "series"; each of its entries needs "labels" and "samples"')
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
        gathered.add(labels_of(labels), _in_order(samples, place))


def _in_order(samples: list[Any], place: str) -> list[tuple[int, float]]:
    """Return one entry's samples; within an entry they must be in the order of time."""
    found: list[tuple[int, float]] = []
    for at, sample in enumerate(samples):
        t_s, value = _sample(sample, f"{place}.samples[{at}]")
        time_ms = round(t_s * 1000)
        if found and time_ms <= found[-1][0]:
            if time_ms < found[-1][0]:
                raise SeriesFileError(f"{place}.samples[{at}] is refused: {Appended.OUT_OF_ORDER.value} at {t_s}")
            if bits_of(found[-1][1]) != bits_of(value):
                raise SeriesFileError(f"{place}.samples[{at}] is refused: {Appended.DUPLICATE.value} at {t_s}")
        found.append((time_ms, value))
    return found


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
    return load_files([path], store).stored


def load_files(paths: Iterable[Path], store: MemoryStore) -> Gathering:
    """Append the series of all files and folders, as one recording: files may overlap and repeat series.

    Raises:
        SeriesFileError: a file cannot be used; the text says which and why.
    """
    gathered = Gathered()
    for path in paths:
        for file in files_in(path):
            _gather_file(file, gathered)
    return gathered.store_in(store)


def files_in(path: Path) -> list[Path]:
    """Return the file itself, or the data files of a folder."""
    if not path.is_dir():
        return [path]
    files = sorted(each for each in path.iterdir() if each.suffix in _ENDINGS)
    if not files:
        raise SeriesFileError(f"{path}: no .json, .gz, .txt, .prom or .om file in this folder")
    return files


def families_in(path: Path) -> Sequence[Family]:
    """Return what an exposition file says of its metrics; JSON says nothing."""
    text = _text_of(path)
    return () if _is_json(text) else _read_exposition(text, path).families


def _gather_file(path: Path, gathered: Gathered) -> None:
    text = _text_of(path)
    if not _is_json(text):
        _gather_exposition(text, gathered, path)
        return
    try:
        document = json.loads(text)
    except ValueError as error:
        raise SeriesFileError(f"{path}: not valid JSON: {error}") from None
    _gather_json(document, gathered, str(path))


def _is_json(text: str) -> bool:
    # A line of exposition text may begin with a brace as well, before the metric's name in quotes.
    is_line = re.match(r'\s*\{\s*"(?:[^"\\]|\\.)*"\s*[,}]', text) is not None
    return text.lstrip().startswith("{") and not is_line


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


def _read_exposition(text: str, path: Path) -> Exposition:
    try:
        return read_lines(text, in_seconds=is_openmetrics(text))
    except ExpositionError as error:
        raise SeriesFileError(f"{path}: neither JSON series nor exposition text: {error}") from None


def _gather_exposition(text: str, gathered: Gathered, path: Path) -> None:
    samples = _read_exposition(text, path).samples
    if not samples:
        raise SeriesFileError(f"{path}: no samples in it")
    for sample in samples:
        if sample.t_s is None:
            raise SeriesFileError(f"{path}: {dict(sample.labels)} has no timestamp; a data file needs one per sample")
        gathered.add(sample.labels, [(round(sample.t_s * 1000), sample.value)])
