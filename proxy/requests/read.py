"""Read what a request asks for from its path: first the signature or the policy, then the options."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from urllib.parse import unquote

from proxy.config.presets import Preset, Presets
from proxy.model.errors import Expired, InvalidRequest, ProxyError, UnknownOverlay, UnknownPreset
from proxy.model.freshness import Lifetimes
from proxy.model.negotiation import Bucket
from proxy.options.spec import Spec
from proxy.origins.sources import NOWHERE, Sources
from proxy.renditions import RenditionRequest, rendition_request, with_spec
from proxy.requests.policy import check_policy, check_result
from proxy.url.grammar import read_options, resolve_options
from proxy.url.path import Address, split_path
from proxy.url.signing import Secret, verify


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingTerms:
    """
    On what terms a deployment serves URLs.

    `mount` is the path that all URLs begin with. `below` is the path after the mount at which URLs ask for
    `task` (`render` or `describe`); a signature covers it and is good for that task alone. `policy` is for
    URLs without a signature (see `proxy.requests.policy`). `lifetimes` hold where no preset has its own.
    `sources` are where keys lead to. In `development` errors name presets and overlays to URLs without a
    signature too.
    """

    mount: str = ""
    below: str = ""
    task: str = "render"
    secrets: tuple[Secret, ...] = ()
    policy: str = "deny"
    lifetimes: Lifetimes = Lifetimes()  # noqa: RUF009  frozen
    sources: Sources = NOWHERE
    development: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """
    What one URL asks for: the rendition, and with `spec` and `presets` how it is to be delivered.

    If it is `hiding_overlay`, the key of what a preset lays over the picture is not for its client to know.
    """

    rendition_request: RenditionRequest
    spec: Spec
    presets: tuple[Preset, ...]
    hiding_overlay: bool = False

    @property
    def varies(self) -> bool:
        """Whether the answer depends on the request's Accept header."""
        return self.rendition_request.open_format

    @property
    def other_widths(self) -> tuple[RenditionRequest, ...]:
        """
        What is to be made when this one is: the other widths of its last preset that has all made together,
        if its own width is one of them.
        """
        responsive = next((each.responsive for each in reversed(self.presets) if each.responsive), None)
        if responsive is None or not responsive.together or self.spec.width not in responsive.widths:
            return ()
        return tuple(
            with_spec(self.rendition_request, replace(self.spec, width=width))
            for width in responsive.widths
            if width != self.spec.width
        )

    def for_client(self, error: ProxyError) -> ProxyError:
        """Return `error` without a key that its client may not know."""
        overlay = self.rendition_request.overlay
        if overlay is None or not self.hiding_overlay or overlay.key not in error.message:
            return error
        facts = {name: value for name, value in error.facts.items() if name != "value"}
        return type(error)("the overlay cannot be had", **facts)

    def seconds_left(self, now: float) -> float | None:
        """Seconds from `now` (unix seconds) to the end of the URL, `None` if it has none. Raises Expired."""
        if self.spec.expires is None:
            return None
        left = self.spec.expires - now
        if left <= 0:
            raise Expired("this URL has expired", option="exp", value=str(self.spec.expires))
        return left


def read_request(
    terms: ServingTerms, presets: Presets, raw_path: bytes, query: bytes, accepted: Bucket
) -> ParsedRequest:
    """
    Read a request from its path and query as they were sent (not decoded).

    `accepted` are the formats that the client takes where the URL leaves the format open. Raises
    InvalidRequest and Forbidden; whether the URL has expired is left to `ParsedRequest.seconds_left`.
    """
    address = split_path(raw_path, query, terms.mount, terms.below)
    signed = is_signed(terms, address)
    written = read_options(address.options)
    if not signed:
        check_policy(terms.policy, written, presets)
    try:
        spec = resolve_options(written, presets.options, presets.defaults, presets.layers)
    except (UnknownPreset, UnknownOverlay) as error:
        if not signed and not terms.development:
            raise without_names(error) from None
        raise error if presets.rejected is None else with_rejection(error, presets.rejected) from None
    if not signed:
        check_result(terms.policy, written, spec, presets, accepted)
    named = tuple(presets.presets[name] for name in spec.presets)
    lifetimes = with_preset_lifetimes(terms.lifetimes, named)
    request = rendition_request(
        spec, address.key, accepted, lifetimes, sources=terms.sources, task=terms.task
    )
    known = signed or terms.development or terms.policy == "allow"
    hiding = not known and spec.overlay is not None and not names(address, spec.overlay)
    return ParsedRequest(rendition_request=request, spec=spec, presets=named, hiding_overlay=hiding)


def names(address: Address, overlay: str) -> bool:
    """Whether the URL itself has the key of its overlay."""
    return overlay in unquote(unquote(address.options))


def is_signed(terms: ServingTerms, address: Address) -> bool:
    """Verify the URL's signature, if it has or needs one. Raises BadSignature."""
    if not terms.secrets or (address.signature is None and terms.policy != "deny"):
        return False
    verify(terms.secrets, address.signed, address.signature)
    return True


def without_names(error: UnknownPreset | UnknownOverlay) -> InvalidRequest:
    """The same error for strangers: it repeats what they wrote, and names nothing of the presets file."""
    kind = "preset" if isinstance(error, UnknownPreset) else "overlay"
    value = error.facts["value"]
    return type(error)(
        f"no {kind} {value!r}",
        option=error.facts["option"], value=value, allowed=f"the name of one of this server's {kind}s",
    )  # fmt: skip


def with_rejection(error: UnknownPreset | UnknownOverlay, rejected: str) -> InvalidRequest:
    """The same error, which says that the file on disk was refused, where the name may be, and why."""
    return type(error)(
        f"{error.message.rstrip('?')}; the presets file as it is now was refused, and an older one is in "
        f"use: {rejected}",
        **error.facts,
    )


def with_preset_lifetimes(lifetimes: Lifetimes, presets: Iterable[Preset]) -> Lifetimes:
    """`lifetimes`, each overridden by the last of `presets` that sets it."""
    for preset in presets:
        own = {field.name: getattr(preset, field.name) for field in fields(Lifetimes)}
        lifetimes = replace(lifetimes, **{name: length for name, length in own.items() if length is not None})
    return lifetimes


_OPEN_FORMAT = re.compile(rb"(?:[,&]|^)(?:f|format)[_:=](?:auto|best)(?:[,&]|$)")


def may_vary(raw_path: bytes) -> bool:
    """
    Guess whether a URL that could not be read leaves the format to the client, for the Vary of its error.

    Where the options are in it is not known then, so any segment that says so counts.
    """
    return any(_OPEN_FORMAT.search(segment) for segment in raw_path.split(b"/"))
