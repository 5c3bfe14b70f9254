"""The report of a simulation as one page of HTML that opens from disk and needs nothing from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.outcomes import sentences as words
from sim.outcomes.pictures import as_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sim.outcomes.result import SimulationResult
    from sim.suite.scoring import Score


def page(result: SimulationResult, *, score: Score | None = None, command: str = "") -> str:
    """Return the page.

    Args:
        score: of a suite.
        command: what brings these numbers back.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("sim.outcomes"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["w"] = words
    environment.filters["firm"] = _firm

    def picture(figure: Figure) -> Markup:
        return Markup(as_svg(figure))

    return environment.get_template("simulation.html.j2").render(
        result=result,
        figures=result.figures,
        scenarios=[one.scenario for one in result.releases],
        sentences=result.sentences,
        detection=picture(result.plot_detection()),
        timeline=picture(result.plot_timeline()),
        bad_requests=picture(result.plot_bad_requests()),
        score=score,
        command=command,
    )


def _firm(text: str) -> str:
    """Return a text that does not break between a number and its sign or unit."""
    return text.replace(" %", "\u00a0%").replace(" s ", "\u00a0s ").replace(" min ", "\u00a0min ")
