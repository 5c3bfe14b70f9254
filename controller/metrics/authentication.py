"""How a provider is told who asks: the headers that a manifest's `authentication` and `headers` come to.

In Argo Rollouts' order: a header that the manifest writes out replaces a token, and a token replaces a user's name
and password. Every value made here is a secret, also where no Secret is named; `Credentials` lists them, so that what
repeats one can be told without it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote_plus, urlencode

from controller.manifests.values import Authentication, Header
from controller.metrics.addresses import AddressMap
from controller.metrics.transport import Headers, ProviderError, Reply, Transport

_FORM = ("Content-Type", "application/x-www-form-urlencoded")
_HIDDEN_LENGTH_MIN = 4  # what is shorter stands in too many words to be taken out of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The headers to send, and what in them nobody may read."""

    headers: Headers = ()
    secrets: tuple[str, ...] = ()  # passwords and tokens
    written: tuple[str, ...] = ()  # values of headers: perhaps a token, perhaps a word that answers hold too


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Finds a provider's credentials; a token is asked for with each measurement and never kept."""

    transport: Transport
    addresses: AddressMap
    timeout_s: float
    insecure: bool

    def credentials(self, authentication: Authentication | None, headers: tuple[Header, ...]) -> Credentials:
        """Return what is to be sent.

        Raises:
            ProviderError: something is missing, cannot be done, or the token's server gives none.
        """
        made: dict[str, tuple[str, str]] = {}
        secrets: list[str] = []
        if authentication is not None:
            scheme = self._scheme(authentication)
            if scheme:
                made["authorization"] = ("Authorization", scheme)
                secrets = [scheme.partition(" ")[2], authentication.basic_password, authentication.oauth2_client_secret]
        for header in headers:
            made[header.key.lower()] = (header.key, header.value)  # as Go's Header.Set: the last one counts
        written = [part for header in headers for part in (header.value, header.value.rpartition(" ")[2])]
        return Credentials(headers=tuple(made.values()), secrets=worth_hiding(secrets), written=worth_hiding(written))

    def _scheme(self, asked: Authentication) -> str:
        if asked.sigv4_region or asked.sigv4_profile or asked.sigv4_role_arn:
            raise ProviderError("authentication.sigv4 cannot be used: Gamebird signs no request for AWS")
        if asked.oauth2_token_url:
            return f"Bearer {self._token(asked)}"
        if asked.basic_username or asked.basic_password:
            for name, value in (("username", asked.basic_username), ("password", asked.basic_password)):
                if not value:
                    raise ProviderError(f"missing mandatory parameter in metric for basic auth setup: {name}")
            return f"Basic {_basic(asked.basic_username, asked.basic_password)}"
        return ""

    def _token(self, asked: Authentication) -> str:
        """Return a token for the client's own credentials, by RFC 6749: in a header, else in the form."""
        if not asked.oauth2_client_id or not asked.oauth2_client_secret:
            raise ProviderError("missing mandatory parameter in metric for OAuth2 setup")
        form = {"grant_type": "client_credentials"}
        if asked.oauth2_scopes:
            form["scope"] = " ".join(asked.oauth2_scopes)
        user = _basic(quote_plus(asked.oauth2_client_id), quote_plus(asked.oauth2_client_secret))
        reply = self._ask_token(asked.oauth2_token_url, (_FORM, ("Authorization", f"Basic {user}")), form)
        if not 200 <= reply.status < 300:
            form |= {"client_id": asked.oauth2_client_id, "client_secret": asked.oauth2_client_secret}
            reply = self._ask_token(asked.oauth2_token_url, (_FORM,), form)
        return _token_in(reply)

    def _ask_token(self, url: str, headers: Headers, form: dict[str, str]) -> Reply:
        return self.transport.fetch(
            "POST",
            self.addresses.resolve_listed(url),
            headers=headers,
            body=urlencode(form).encode(),
            timeout_s=self.timeout_s,
            insecure=self.insecure,
        )


def worth_hiding(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the texts that are long enough to be a secret, and to be told apart from a word."""
    return tuple(text for text in dict.fromkeys(texts) if len(text) >= _HIDDEN_LENGTH_MIN)


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _token_in(reply: Reply) -> str:
    """Return the token of a reply. Its body is never shown, whatever it is."""
    if not 200 <= reply.status < 300:
        raise ProviderError(f"authentication.oauth2.tokenUrl answers HTTP {reply.status} and no token")
    try:
        token = json.loads(reply.body)["access_token"]
    except (ValueError, KeyError, TypeError, RecursionError):
        token = None
    if not isinstance(token, str) or not token:
        raise ProviderError("authentication.oauth2.tokenUrl answers without an access_token")
    return token
