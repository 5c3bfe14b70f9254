"""Read feature flags as an application does: an OpenFeature client, a provider, a flagd file that may change.

The provider evaluates with flagd's own rules (`openfeature-flagd-core`). A file that is gone or broken leaves the
flags that were read last; a flag that is not there gives the caller's default. Neither is ever an error for a user.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.provider import AbstractProvider, Metadata


class FlagdFileProvider(AbstractProvider):
    """Evaluates the flags of one flagd file; `refresh` reads it again if it has changed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._core = FlagdCore()
        self._stamp: tuple[int, int] | None = None
        self.refresh()

    def get_metadata(self) -> Metadata:
        return Metadata(name="flagd file")

    def refresh(self) -> bool:
        """Read the file if it is another one than last time; return whether flags were taken from it."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp == self._stamp:
                return False
            self._core.set_flags(json.loads(self._path.read_text(encoding="utf-8")))
        except Exception:  # whatever is wrong with the file, a user must not notice: the last good flags stay
            return False
        self._stamp = stamp
        return True

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        return self._core.resolve_boolean_value(flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._core.resolve_string_value(flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._core.resolve_integer_value(flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return self._core.resolve_float_value(flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        return self._core.resolve_object_value(flag_key, default_value, evaluation_context)


def flag_client(path: Path) -> tuple[OpenFeatureClient, FlagdFileProvider]:
    """Return an OpenFeature client whose flags come from this file, and the provider to refresh."""
    provider = FlagdFileProvider(path)
    api.set_provider(provider)
    return api.get_client(), provider
