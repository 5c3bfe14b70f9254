"""The report as one page of HTML that opens from disk: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.prediction import beside
from experiments.prediction.predicting import Prediction
from experiments.report import words
from experiments.scorecard import Scorecard


def page(
    cards: Sequence[Scorecard], predictions: Sequence[Prediction | None], *, description: str, picture: str
) -> str:
    """Return the page.

    Args:
        predictions: what the simulator said of each of the cards' rehearsals.
        picture: the timeline as SVG, of our own making; everything else is escaped.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("experiments.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["w"] = words
    environment.globals["b"] = beside
    template = environment.get_template("report.html.j2")
    return template.render(
        cards=cards,
        predictions={card.policy: prediction for card, prediction in zip(cards, predictions, strict=True)},
        first=cards[0],
        description=description,
        picture=Markup(picture[picture.index("<svg") :]),
        rows=words.comparison(cards),
        holds=all(card.holds for card in cards),
        void=any(card.void for card in cards),
    )
