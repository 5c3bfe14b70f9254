"""Ask a web metric: one request to an address of the team's own, and the value that a path finds in its JSON.

What comes back as a value goes to the conditions as Argo Rollouts gives it: JSON by its types, with every number a
float, and a body that is no JSON as a text. A status other than 2xx is an error, whatever the body says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import isinf
from typing import NoReturn

from controller.core.conditions import Json
from controller.manifests.values import WebProvider
from controller.metrics.addresses import AddressMap
from controller.metrics.jsonpath import JsonPathError
from controller.metrics.jsonpath_search import first_value
from controller.metrics.transport import Headers, ProviderError, Transport

DEFAULT_TIMEOUT_S = 10.0  # what Argo Rollouts waits when a metric names no timeout
_JSON = ("Content-Type", "application/json")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebClient:
    """Asks web metrics; safe to use from several threads."""

    transport: Transport
    addresses: AddressMap = field(default_factory=AddressMap)

    def ask(self, provider: WebProvider, headers: Headers) -> Json | str:
        """Return the value for the conditions.

        Args:
            headers: the provider's own, with its credentials.

        Raises:
            AddressError: the address is no URL, or a rehearsal must not ask it.
            ProviderError: there is no answer, or nothing where the path points.
        """
        body = _body(provider)
        if provider.json_body:
            headers = (*(header for header in headers if header[0].lower() != "content-type"), _JSON)
        reply = self.transport.fetch(
            provider.method,
            self.addresses.resolve_listed(provider.url),
            headers=headers,
            body=body,
            timeout_s=provider.timeout_s or DEFAULT_TIMEOUT_S,
            insecure=provider.insecure,
            follow=self.addresses.everything is None,  # a redirect would lead out of a rehearsal
        )
        if not 200 <= reply.status < 300:
            raise ProviderError(f"received non 2xx response code: {reply.status}")
        text = reply.body.decode(errors="replace")
        try:
            document = json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_no_number)
        except (ValueError, RecursionError):
            return text
        try:
            return Json(first_value(provider.json_path, document))
        except JsonPathError as error:
            raise ProviderError(f"Could not find JSONPath in body: {error}") from None


def _body(provider: WebProvider) -> bytes | None:
    if provider.body and provider.json_body:
        raise ProviderError("use either Body or JSONBody; both cannot exists for WebMetric payload")
    text = provider.body or provider.json_body
    if text and provider.method == "GET":
        raise ProviderError("Body/JSONBody can only be used with POST or PUT WebMetric Method types")
    return text.encode() if text else None


def _number(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise ValueError("a number that no float holds")
    return number


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
