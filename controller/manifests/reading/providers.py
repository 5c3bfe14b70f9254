"""What a metric asks: Prometheus and web providers whole, every other provider by name and settings."""

from __future__ import annotations

from typing import Literal, cast

from controller.manifests.problems import shown
from controller.manifests.reading.fields import OTHER_PROVIDERS
from controller.manifests.reading.reader import Reader
from controller.manifests.values import (
    Authentication,
    Header,
    OtherProvider,
    PrometheusProvider,
    Provider,
    RangeQuery,
    WebProvider,
    canonical_json,
    placeholders,
)

NO_PROVIDER = OtherProvider(kind="none")
_METHODS = ("GET", "POST", "PUT")


def read_provider(metric: Reader) -> Provider:
    """Return the provider of a metric; a problem is noted unless there is exactly one."""
    reader = metric.child("provider", "provider", required=True)
    if reader is None:
        return NO_PROVIDER
    given = [name for name in ("prometheus", "web", *OTHER_PROVIDERS) if reader.has(name)]
    plugins = reader.value.get("plugin")
    many_plugins = isinstance(plugins, dict) and len(plugins) > 1
    if len(given) != 1 or many_plugins:
        if given or not reader.value:
            found = f"{len(given)} providers: {', '.join(given)}" if given else "empty"
            reader.fail(found, "exactly one provider, such as prometheus")
        if not given:
            return NO_PROVIDER
    match given[0]:
        case "prometheus":
            inner = reader.child("prometheus", "prometheus")
            return NO_PROVIDER if inner is None else _prometheus(inner)
        case "web":
            inner = reader.child("web", "web")
            return NO_PROVIDER if inner is None else _web(inner)
        case kind:
            return OtherProvider(kind=kind, settings=canonical_json(reader.value[kind]))


def _prometheus(reader: Reader) -> PrometheusProvider:
    range_reader = reader.child("rangeQuery", "rangeQuery")
    timeout = reader.maybe_integer("timeout", minimum=0)
    return PrometheusProvider(
        query=reader.text("query", required=True),
        address=_address(reader, "address"),
        timeout_s=None if timeout is None else float(timeout),
        insecure=reader.flag("insecure"),
        headers=_headers(reader),
        authentication=_authentication(reader),
        range_query=None
        if range_reader is None
        else RangeQuery(
            start=range_reader.text("start", required=True),
            end=range_reader.text("end", required=True),
            step=range_reader.duration_text("step"),
        ),
    )


def _address(reader: Reader, name: str) -> str:
    text = reader.text(name)
    if text and not placeholders(text) and not text.startswith(("http://", "https://")):
        reader.fail(shown(text), f"a URL such as http://{text.split('://')[-1]}", name)
    return text


def _web(reader: Reader) -> WebProvider:
    body = reader.text("body")
    json_body = reader.value.get("jsonBody")
    method = reader.choice("method", _METHODS, "GET")
    if body and json_body is not None:
        reader.fail("given beside body", "either body or jsonBody", "jsonBody")
    if (body or json_body is not None) and method == "GET":
        reader.fail("GET with a body", "POST or PUT, or no body", "method" if reader.has("method") else "url")
    timeout = reader.maybe_integer("timeoutSeconds", minimum=0)
    return WebProvider(
        url=reader.text("url", required=True),
        method=cast(Literal["GET", "POST", "PUT"], method),
        headers=_headers(reader),
        body=body,
        json_body="" if json_body is None else canonical_json(json_body),
        json_path=reader.text("jsonPath"),
        timeout_s=float(timeout) if timeout else None,
        insecure=reader.flag("insecure"),
        authentication=_authentication(reader),
    )


def _headers(reader: Reader) -> tuple[Header, ...]:
    return tuple(
        Header(key=header.text("key", required=True), value=header.text("value"))
        for header in reader.children("headers", "header")
    )


def _authentication(reader: Reader) -> Authentication | None:
    inner = reader.child("authentication", "authentication")
    if inner is None:
        return None
    oauth2 = inner.child("oauth2", "oauth2")
    basic = inner.child("basicAuth", "basicAuth")
    return Authentication(
        oauth2_token_url="" if oauth2 is None else oauth2.text("tokenUrl"),
        oauth2_client_id="" if oauth2 is None else oauth2.text("clientId"),
        oauth2_client_secret="" if oauth2 is None else oauth2.text("clientSecret"),
        oauth2_scopes=() if oauth2 is None else oauth2.texts("scopes"),
        basic_username="" if basic is None else basic.text("username"),
        basic_password="" if basic is None else basic.text("password"),
    )
