"""Requests to one API server: JSON out, JSON in, typed errors.

Safe to use from several threads. Every request has a deadline; none is repeated here, because only the caller knows
whether it still wants it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

import urllib3

from controller.kubernetes.api.errors import ForbiddenError, UnavailableError, error_of
from controller.kubernetes.api.resources import LEASES, Resource

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

Json = dict[str, Any]

TIMEOUT_S = 10.0
CONNECT_S = 5.0
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class Counter(Protocol):
    """Who counts requests and errors, for metrics."""

    def request(self, method: str, resource: str, status: int) -> None: ...


class Connection:
    """One API server, as one identity.

    Args:
        client: the official client, which holds address, credentials and connections.
        counter: told of every request; None: nobody counts.

    Attributes:
        fence: called before every write but those of leases; raises where this process must no longer write.
    """

    def __init__(self, client: ApiClient, *, counter: Counter | None = None) -> None:
        self._client = client
        self._counter = counter
        self.fence: Callable[[], None] | None = None

    @property
    def host(self) -> str:
        """The server's address."""
        return str(self._client.configuration.host)

    # ---- objects

    def get(self, resource: Resource, namespace: str | None, name: str) -> Json:
        """Return one object."""
        return self.call("GET", resource.path(namespace, name), resource=resource)

    def list_all(
        self, resource: Resource, namespace: str | None = None, *, selector: str = "", page: int = 500
    ) -> Json:
        """Return a list object with all items, read page by page."""
        items: list[Json] = []
        query = {"limit": str(page), **({"labelSelector": selector} if selector else {})}
        while True:
            part = self.call("GET", resource.path(namespace), query=query, resource=resource)
            items += part.get("items") or []
            token = part.get("metadata", {}).get("continue")
            if not token:
                return {**part, "items": items}
            query["continue"] = token

    def create(self, resource: Resource, namespace: str | None, body: Json) -> Json:
        """Create an object and return it as the server keeps it."""
        return self.call("POST", resource.path(namespace), body=body, resource=resource)

    def replace(self, resource: Resource, namespace: str | None, body: Json, *, subresource: str | None = None) -> Json:
        """Replace an object; with a resourceVersion in it, only if nobody has changed it since."""
        path = resource.path(namespace, body["metadata"]["name"], subresource)
        return self.call("PUT", path, body=body, resource=resource)

    def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Json | list[Json],
        *,
        subresource: str | None = None,
    ) -> Json:
        """Merge a patch into an object (a list is a JSON patch, whose tests make it conditional)."""
        kind = JSON_PATCH if isinstance(body, list) else MERGE_PATCH
        path = resource.path(namespace, name, subresource)
        return self.call("PATCH", path, body=body, content_type=kind, resource=resource)

    def delete(self, resource: Resource, namespace: str | None, name: str, *, body: Json | None = None) -> Json:
        """Delete an object; its dependents go as the server's garbage collector sees fit."""
        return self.call("DELETE", resource.path(namespace, name), body=body, resource=resource)

    # ---- requests

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | list[Json] | None = None,
        content_type: str = "application/json",
        timeout_s: float = TIMEOUT_S,
        resource: Resource | None = None,
    ) -> Json:
        """Return the parsed answer to one request.

        Raises:
            ApiError: one of its kinds, by what the server said; UnavailableError where it said nothing.
        """
        request = f"{method} {path}"
        response = self._send(method, path, query, body, content_type, (CONNECT_S, timeout_s), resource)
        try:
            data: bytes = response.data or b""
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"the answer broke off: {error}", request=request) from error
        if response.status >= 400:
            raise error_of(response.status, data, request)
        try:
            found = json.loads(data) if data else {}
        except ValueError as error:
            raise UnavailableError(f"the answer is no JSON: {error}", request=request) from error
        return found if isinstance(found, dict) else {"items": found}

    def watch(self, resource: Resource, namespace: str | None, query: Mapping[str, str], *, quiet_s: float) -> Watch:
        """Return the events of a collection from now on, or from a resourceVersion in the query.

        Args:
            quiet_s: a server that says nothing for so long is taken for gone; ask for bookmarks to keep it talking.

        Raises:
            GoneError: history does not reach back to the resourceVersion asked for.
            ApiError: the watch was refused.
        """
        path = resource.path(namespace)
        request = f"WATCH {path}"
        asked = {**query, "watch": "true"}
        response = self._send("GET", path, asked, None, "application/json", (CONNECT_S, quiet_s), resource)
        if response.status >= 400:
            raise error_of(response.status, response.data or b"", request)
        return Watch(response, request)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Json | list[Json] | None,
        content_type: str,
        timeout: tuple[float, float],
        resource: Resource | None,
    ) -> Any:
        if method != "GET" and self.fence is not None and resource is not LEASES:
            self.fence()
        headers = {"Accept": "application/json", "User-Agent": "gamebird"}
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = json.dumps(body).encode()
        status = 0
        try:
            self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
            # The pool itself: the client's own request function has opinions on bodies, and repeats what failed.
            response = self._client.rest_client.pool_manager.request(
                method,
                f"{self.host}{path}" + (f"?{urlencode(query)}" if query else ""),
                body=data,
                headers=headers,
                timeout=urllib3.Timeout(connect=timeout[0], read=timeout[1]),
                preload_content=False,
                retries=False,
                redirect=False,
            )
            status = response.status
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"the API server does not answer: {error}", request=f"{method} {path}") from error
        finally:
            if self._counter is not None:
                self._counter.request(method, resource.text if resource else "", status)
        return response


class Watch:
    """A stream of events, each as the API sends it: {"type": …, "object": …}. `close` may come from any thread."""

    def __init__(self, response: Any, request: str) -> None:
        self._response, self._request = response, request
        self._closed = False

    def __iter__(self) -> Iterator[Json]:
        """Yield events until the server ends the watch or somebody closes it.

        Raises:
            GoneError: the server has forgotten the history that is needed.
            ApiError: the watch broke.
        """
        try:
            for line in self._lines():
                event = json.loads(line)
                if event.get("type") == "ERROR":
                    said = event.get("object", {})
                    raise error_of(int(said.get("code", 500)), said, self._request)
                yield event
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if not self._closed:
                raise UnavailableError(f"the watch broke off: {error}", request=self._request) from error
        finally:
            self._response.close()

    def close(self) -> None:
        """End the stream, also while somebody waits for its next event."""
        self._closed = True
        with contextlib.suppress(ValueError, OSError, RuntimeError):
            self._response.shutdown()  # the other thread's read ends at once; closing alone would not wake it

    def _lines(self) -> Iterator[bytes]:
        waiting = b""
        for part in self._response.stream(amt=None, decode_content=True):
            *lines, waiting = (waiting + part).split(b"\n")
            yield from (line for line in lines if line.strip())


def connect(
    *, kubeconfig: Path | None = None, context: str | None = None, counter: Counter | None = None
) -> tuple[Connection, str]:
    """Return a connection and the namespace that goes with it: of the kubeconfig's context, or of the pod.

    The order is that of kubectl: a named file, $KUBECONFIG, ~/.kube/config; inside a pod its service account.

    Raises:
        ForbiddenError: there are no credentials; the message says where they were looked for.
    """
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
    from kubernetes.config.kube_config import list_kube_config_contexts

    configuration = Configuration()
    # A watch holds a connection each; the pool must not make others wait for one.
    configuration.connection_pool_maxsize = 32
    configuration.retries = False
    file = None if kubeconfig is None else str(kubeconfig)
    try:
        load_kube_config(config_file=file, context=context, client_configuration=configuration)
        contexts, active = list_kube_config_contexts(config_file=file)
        chosen = active if context is None else next(one for one in contexts if one["name"] == context)
        namespace = chosen["context"].get("namespace") or "default"
    except (ConfigException, OSError) as missing:
        if kubeconfig is not None or context is not None:
            raise ForbiddenError(f"the kubeconfig cannot be used: {missing}") from missing
        try:
            load_incluster_config(client_configuration=configuration)
        except ConfigException as error:
            where = "neither a kubeconfig (--kubeconfig, $KUBECONFIG, ~/.kube/config) nor a pod's service account"
            raise ForbiddenError(f"no credentials for a cluster: {where} was found") from error
        own = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
        namespace = own.read_text(encoding="utf-8").strip() if own.is_file() else "default"
    return Connection(ApiClient(configuration), counter=counter), namespace
