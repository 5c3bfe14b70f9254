"""Which game day, under which policies: a file or a name of the catalogue, and perhaps a team's own manifests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from experiments.gameday_files import GameDay


class UsageError(ValueError):
    """An option that does not fit the file or the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was asked for on the command line.

    Attributes:
        name: a file, or the name of a game day of the catalogue.
        policies: names of the file's policies, or manifests in their place.
        more: further manifests: `--policy a.yaml b.yaml` names two.
        without_faults: nothing is wrong in it, to see whether the score notices.
    """

    name: Path
    policies: Sequence[str] = ()
    more: Sequence[Path] = ()
    without_faults: bool = False

    def game_day(self) -> GameDay:
        """Return the game day as it was asked for.

        Raises:
            ManifestError: the file or a manifest is wrong.
            UsageError: a name that nothing has, or manifests that there are not.
        """
        from experiments.catalogue.variants import with_manifests, without_faults
        from experiments.gameday_files import load_game_day

        game_day = load_game_day(_file_of(self.name))
        files = self._manifests(game_day)
        if files:
            game_day = with_manifests(game_day, files)
        return without_faults(game_day) if self.without_faults else game_day

    def names(self, game_day: GameDay) -> list[str]:
        """Return the names of the policies that were asked for, of the game day that this choice made.

        Raises:
            UsageError: the game day has none of that name.
        """
        known = list(game_day.policies)
        if not self.policies or game_day.given:
            return known[:1]
        if set(self.policies) & {"both", "all"}:
            return known
        for name in self.policies:
            if name not in known:
                raise UsageError(f"--policy {name}: {game_day.path} has {', '.join(known)}, and both")
        return list(dict.fromkeys(self.policies))

    def _manifests(self, game_day: GameDay) -> list[Path]:
        """Return the manifests that were named; none where policies were."""
        named = [Path(name) for name in self.policies if name not in (*game_day.policies, "both", "all")]
        if not named and not self.more:
            return []
        if len(named) < len(self.policies):
            raise UsageError("--policy: either names of policies, or manifests, not both")
        files = [*named, *self.more]
        missing = [str(file) for file in files if not file.is_file()]
        if missing:
            known = f"{game_day.path} has {', '.join(game_day.policies)}, and both"
            raise UsageError(f"--policy {' '.join(missing)}: {known}; there is no such file either")
        return files


def _file_of(name: Path) -> Path:
    from experiments.catalogue.listing import find

    if not name.exists() and name.parent == Path() and not name.suffix:
        found = find(name.name)
        if found is None:
            raise UsageError(f"{name}: neither a file nor one of the catalogue; `gamebird gameday catalogue` lists it")
        return found
    return name
