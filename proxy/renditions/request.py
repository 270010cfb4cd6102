"""What a client asks for, as a value: caches, renderers and ETags know a rendition by it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from proxy.model.errors import OriginalNotFound, OriginalTooLarge, ProxyError, UnusableOverlay
from proxy.model.freshness import Lifetimes
from proxy.model.limits import Limits
from proxy.model.media import RECIPE
from proxy.model.negotiation import Bucket, format_bucket
from proxy.options.spec import Spec
from proxy.origins.sources import NOWHERE, LocatedKey, Sources
from proxy.purges.marks import PurgeSubject, purge_subject
from proxy.renditions.cost import expected_seconds
from proxy.url.grammar import canonical_text


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionRequest:
    """
    One rendition of the picture `original`, with the picture `overlay` over it if there is one.

    `options` are the canonical ones, `accepted` the formats that the client takes, which count where
    `open_format` leaves the choice open. `task` is what a renderer does: `render` the picture, or `describe`
    it. `presets` are those that the URL names, for purges. `cost` are the seconds that a renderer is expected
    to take, without those for reading the original.
    """

    options: str
    original: LocatedKey
    accepted: Bucket
    open_format: bool
    lifetimes: Lifetimes
    task: str = "render"
    overlay: LocatedKey | None = None
    presets: tuple[str, ...] = ()
    cost: float = field(default=0.1, compare=False)

    @property
    def key(self) -> str:
        """The key of the picture, as in the URL."""
        return self.original.key

    @property
    def located(self) -> tuple[LocatedKey, ...]:
        """The keys of all originals that go into the rendition: the picture's, then the overlay's."""
        return (self.original,) if self.overlay is None else (self.original, self.overlay)

    def require_allowed(self) -> None:
        """Raise SourceNotAllowed if one of its keys leads to where this deployment does not fetch from."""
        self.original.require_allowed()
        if self.overlay is not None:
            try:
                self.overlay.require_allowed()
            except ProxyError as error:
                raise about_overlay(self.overlay.key, error) from None

    @property
    def stem(self) -> str:
        """
        Its name in caches, without the environment and the originals' versions: all that is the same for
        every request.
        """
        accepted = f";{format_bucket(self.accepted)}" if self.open_format else ""
        overlay = "" if self.overlay is None else f"\n{self.overlay.place}"
        return f"{self.task}\n{self.options}{accepted}{overlay}\n{self.original.place}\n{self.key}"

    @property
    def subject(self) -> PurgeSubject:
        """What a purge calls the rendition by."""
        keys, origins = zip(*((each.key, each.origin) for each in self.located), strict=True)
        return purge_subject(keys, origins, self.presets)


def rendition_request(
    spec: Spec,
    key: str,
    accepted: Bucket,
    lifetimes: Lifetimes,
    *,
    sources: Sources = NOWHERE,
    task: str = "render",
) -> RenditionRequest:
    """Return the request for `key` under `spec`. `sources` are where its keys lead to."""
    return RenditionRequest(
        options=canonical_text(spec),
        original=sources.locate(key),
        accepted=accepted,
        open_format=spec.negotiates,
        lifetimes=lifetimes,
        task=task,
        overlay=None if spec.overlay is None else sources.locate(spec.overlay),
        presets=spec.presets,
        cost=expected_seconds(spec, accepted),
    )


def with_spec(request: RenditionRequest, spec: Spec) -> RenditionRequest:
    """Return the request for the same picture under `spec`, which differs in nothing but the geometry."""
    return replace(request, options=canonical_text(spec), cost=expected_seconds(spec, request.accepted))


def about_overlay(key: str, error: ProxyError) -> ProxyError:
    """
    Return an origin's `error` about the overlay `key` as one that does not read as about the picture: that
    it is absent or too large is UnusableOverlay, every other error stays of its type.
    """
    message = f"the overlay {key!r}: {error.message}"
    if isinstance(error, OriginalNotFound | OriginalTooLarge):
        return UnusableOverlay(message, option="overlay", value=key)
    return type(error)(message, **error.facts)


def rendering_environment(limits: Limits, fingerprint: str) -> str:
    """
    Return 32 hex digits for all that the bytes of renditions depend on besides a request and its originals:
    the recipe, the limits that shape pictures, and the renderers' `fingerprint`.

    Processes that share caches and have different ones neither find nor replace each other's renditions.
    """
    return hashlib.sha256(f"{RECIPE}\0{limits.shaping}\0{fingerprint}".encode()).hexdigest()[:32]


def name_in(environment: str, stem: str) -> str:
    """Return the name in caches of the rendition with that `stem` which is made in `environment`."""
    return f"{environment}\n{stem}"


def is_named_in(environment: str, name: str) -> bool:
    """Whether `name` is of a rendition that was made in `environment`."""
    return name.startswith(f"{environment}\n")


def identity(request: RenditionRequest, format: str, version: str, environment: str) -> str:
    """
    Return a strong ETag (RFC 9110 section 8.8.1), without quotes: the same for the same bytes over restarts
    and machines, another for another format, spec, original (`version`) or rendering environment, and for
    what was chosen among other formats.
    """
    accepted = format_bucket(request.accepted) if request.open_format else ""
    parts = (environment, request.task, request.options, accepted, format, request.key, version)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
