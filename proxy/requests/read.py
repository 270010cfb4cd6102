"""From a request's path to what it asks for: the signature or the policy first, then the options."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from proxy.config.presets import Preset, Presets
from proxy.model.errors import Expired
from proxy.model.freshness import Lifetimes
from proxy.model.negotiation import Bucket
from proxy.options.spec import Spec
from proxy.renditions.request import RenditionRequest, rendition_request
from proxy.requests.policy import permit
from proxy.url.grammar import Address, read_options, resolve, split_path
from proxy.url.signing import Secret, verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """
    On what terms this deployment answers. `policy` is for URLs without a signature. `below` is where, under
    the mount, URLs ask for `task`; it is signed with them, so that a signature is good for one task.
    """

    mount: str = ""
    below: str = ""
    task: str = "render"
    secrets: tuple[Secret, ...] = ()
    policy: str = "deny"
    lifetimes: Lifetimes = Lifetimes()  # noqa: RUF009  frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one URL asks for, and how it wants it delivered."""

    request: RenditionRequest
    spec: Spec
    presets: tuple[Preset, ...]

    @property
    def varies(self) -> bool:
        return self.request.open_format

    def seconds_left(self, now: float) -> float | None:
        """Until the URL ends; raises Expired when it has."""
        if self.spec.expires is None:
            return None
        left = self.spec.expires - now
        if left <= 0:
            raise Expired("this URL has expired", option="exp", value=str(self.spec.expires))
        return left


def read_ask(terms: Terms, presets: Presets, raw_path: bytes, query: bytes, accepted: Bucket) -> Ask:
    """Raises InvalidRequest and Forbidden. Whether the URL has expired is for `Ask.seconds_left` to say."""
    address = split_path(raw_path, query, terms.mount, terms.below)
    signed = admit(terms, address)
    written = read_options(address.options)
    if not signed:
        permit(terms.policy, written, presets)
    spec = resolve(written, presets.options, presets.defaults, presets.layers)
    named = tuple(presets.presets[name] for name in spec.presets)
    request = rendition_request(spec, address.key, accepted, lived(terms.lifetimes, named), task=terms.task)
    return Ask(request=request, spec=spec, presets=named)


def admit(terms: Terms, address: Address) -> bool:
    """Whether the URL is signed. Raises BadSignature when it has to be, or tries to and fails."""
    if not terms.secrets or (address.signature is None and terms.policy != "deny"):
        return False
    verify(terms.secrets, address.signed, address.signature)
    return True


def lived(lifetimes: Lifetimes, presets: Iterable[Preset]) -> Lifetimes:
    for preset in presets:
        own = {field.name: getattr(preset, field.name) for field in fields(Lifetimes)}
        lifetimes = replace(lifetimes, **{name: length for name, length in own.items() if length is not None})
    return lifetimes


_LEFT_OPEN = re.compile(rb"(?:[,&]|^)(?:f|format)[_:=](?:auto|best)(?:[,&]|$)")


def seems_to_vary(raw_path: bytes) -> bool:
    """
    For errors about a URL that could not be read whole: whether it leaves the format to the client. Where its
    options are is not known then, so any segment that says so counts.
    """
    return any(_LEFT_OPEN.search(segment) for segment in raw_path.split(b"/"))
