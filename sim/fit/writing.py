"""A fit as files that people read and change: a scenario for the simulator, or traffic alone for everything else.

YAML without a library's habits: few fields, in the order of the schema, only those that differ from the defaults.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sim.fit.fitting import Fit
from sim.fit.observed import FitError

_INLINE_MAX = 100


def scenario_text(fit: Fit, name: str = "fitted") -> str:
    """Return the scenario as YAML; its release is stable itself, to be changed."""
    value = scenario_value(fit, name)
    head = [
        f"# Fitted from {fit.seen.source}: {fit.seen.requests.sum():,.0f} requests in {fit.seen.duration_s:,.0f} s.",
        *(f"# Careful: {warning}" for warning in fit.warnings),
        "# The release is like stable until you change it: errors: 0.05, latency.factor: 2, …",
    ]
    return "\n".join([*head, *_lines(value)]) + "\n"


def scenario_value(fit: Fit, name: str = "fitted") -> dict[str, Any]:
    """Return the scenario as plain values, without what is as the schema has it anyway."""
    value = fit.scenario(name).model_dump(mode="json", exclude_defaults=True)
    return {**value, "traffic": _traffic(fit)}


def traffic_text(fit: Fit) -> str:
    """Return the traffic alone as YAML."""
    value = _traffic(fit)
    return "\n".join([f"# Fitted from {fit.seen.source}.", *_lines(value)]) + "\n"


def _traffic(fit: Fit) -> dict[str, Any]:
    value = fit.traffic.model_dump(mode="json", exclude_defaults=True)
    if "shape" in value:  # its kind is a default of its class, and what tells the class
        value["shape"] = {"kind": fit.traffic.shape.kind, **value["shape"]}
    return value


def write(text: str, file: Path) -> None:
    """Write a file.

    Raises:
        FitError: it cannot be written.
    """
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FitError(f"{file}: cannot be written: {error.strerror}") from error


def _lines(value: dict[str, Any], indent: str = "") -> list[str]:
    lines: list[str] = []
    for key, inner in value.items():
        flow = _flow(inner)
        if isinstance(inner, dict) and inner and len(flow) + len(indent) > _INLINE_MAX:
            lines += [f"{indent}{key}:", *_lines(inner, indent + "  ")]
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            lines.append(f"{indent}{key}:")
            lines += [f"{indent}  - {_flow(each)}" for each in inner]
        elif isinstance(inner, list) and len(flow) > _INLINE_MAX:
            lines.append(f"{indent}{key}:")
            lines += _wrapped(inner, indent + "  ")
        else:
            lines.append(f"{indent}{key}: {flow}")
    return lines


def _wrapped(values: list[Any], indent: str) -> list[str]:
    """Return a long list of numbers in flow form over several lines."""
    rows = [", ".join(_flow(each) for each in values[at : at + 12]) for at in range(0, len(values), 12)]
    inner = f",\n{indent} ".join(rows)
    return f"{indent}[{inner}]".split("\n")


def _flow(value: Any) -> str:
    """Return a value on one line; JSON's strings and numbers are YAML's."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(each) for each in value) + "]"
    text = json.dumps(value)
    if isinstance(value, float) and "e" in text and "." not in text:
        text = text.replace("e", ".0e")  # 1e-05 is a string to readers of YAML 1.1
    return text
