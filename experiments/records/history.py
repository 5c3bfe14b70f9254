"""The history of game days for people and for machines: one HTML page, and JUnit XML for a CI server."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from experiments.records.keeping import Kept, by_drill
from experiments.records.record import Record

_TEMPLATES = Path(__file__).with_name("templates")
_SPARK_WIDTH, _SPARK_HEIGHT = 160, 36


def history_page(kept: Kept) -> str:
    """Return the history as one page that needs nothing else."""
    import jinja2

    loader = jinja2.FileSystemLoader(_TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    drills = [
        {"name": key[0], "policy": key[1], "world": key[2], "records": records, "points": trend_points(records)}
        for key, records in by_drill(kept.records).items()
    ]
    return environment.get_template("history.html.j2").render(
        drills=drills, refused=kept.refused, count=len(kept.records), width=_SPARK_WIDTH, height=_SPARK_HEIGHT
    )


def history_as_junit(kept: Kept) -> str:
    """Return the newest rehearsal of each drill as JUnit XML: a suite for each, a case for each of its checks.

    A file that is no record any more is an error of its own: what cannot be believed must not look green.
    """
    root = ElementTree.Element("testsuites", name="game days")
    for (_, policy, _), records in by_drill(kept.records).items():
        root.append(_suite(records[-1], policy))
    if kept.refused:
        broken = ElementTree.SubElement(root, "testsuite", name="records", errors=str(len(kept.refused)))
        broken.set("tests", str(len(kept.refused)))
        for file, why in kept.refused:
            case = ElementTree.SubElement(broken, "testcase", classname="records", name=file.name)
            ElementTree.SubElement(case, "error", message=why)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def trend_points(records: tuple[Record, ...]) -> str:
    """Return an SVG polyline's points for the scores, the oldest on the left; one record is a level line."""
    scores = [record.score for record in records]
    if len(scores) == 1:
        scores *= 2
    step = _SPARK_WIDTH / (len(scores) - 1)
    return " ".join(f"{index * step:.1f},{_SPARK_HEIGHT * (1 - score / 100):.1f}" for index, score in enumerate(scores))


def _suite(record: Record, policy: str) -> ElementTree.Element:
    checks: list[dict[str, Any]] = record.data["checks"]
    suite = ElementTree.Element(
        "testsuite",
        name=f"{record.game_day} ({policy}, {record.world})",
        tests=str(len(checks)),
        failures=str(sum(not check["held"] for check in checks)),
        timestamp=record.started_at.removesuffix("Z"),
    )
    for check in checks:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{record.game_day}.{record.policy}", name=check["what"]
        )
        if not check["held"]:
            message = f"expected {check['expected']}, was {check['actual']}"
            ElementTree.SubElement(case, "failure", message=message)
    return suite
