"""Parse the queries of templates, whose arguments may not be known yet.

An argument without a value gets a stand-in by where it stands: a duration after a bracket, a word
elsewhere. Only a query that parses with no stand-in at all is called wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from controller.manifests.reading.reader import Place, Report
from promql.syntax import PromQLSyntaxError, parse

_TAG = re.compile(r"\{\{(.*?)(?:\}\}|\Z)", re.DOTALL)  # up to the end, or each {{ would search it anew
_WANTS_DURATION = re.compile(r"(\[|:|\boffset\s)\s*$")
_STAND_INS = ("", "x", "1", "1m")  # "": by where it stands


def check_query(text: str, place: Place, report: Report, values: Mapping[str, str] | None = None) -> None:
    """Note a query that does not parse.

    Args:
        values: known arguments by their tags ("args.x"); others get stand-ins.
    """
    first: PromQLSyntaxError | None = None
    for stand_in in _STAND_INS if "{{" in text else ("",):
        try:
            parse(_filled(text, values or {}, stand_in))
        except PromQLSyntaxError as error:
            first = first or error
        else:
            return
    assert first is not None
    report.problems.append(
        place.problem(
            f"no PromQL (line {first.line}, column {first.column} of the query: {first.message})",
            "a query that Prometheus would take",
        )
    )


def _filled(text: str, values: Mapping[str, str], stand_in: str) -> str:
    parts = []
    end = 0
    for tag in _TAG.finditer(text):
        before = text[end : tag.start()]
        parts.append(before)
        by_place = "1m" if _WANTS_DURATION.search(before) else "x"
        parts.append(values.get(tag[1].strip(), stand_in or by_place))
        end = tag.end()
    return "".join(parts) + text[end:]
