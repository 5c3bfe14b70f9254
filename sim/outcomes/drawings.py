"""A picture that a notebook shows by itself, whether or not it has imported pyplot. Imports matplotlib at once."""

from __future__ import annotations

from matplotlib.figure import Figure


class Drawing(Figure):
    """A figure of matplotlib; `savefig` and all else are as usual."""

    def _repr_svg_(self) -> str:
        from sim.outcomes.pictures import as_svg

        return as_svg(self)
