"""What a server says when it starts: where it listens, and what to click first."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from proxy.app.pictures import NoExamples, example_keys
from proxy.app.wiring import serving_terms
from proxy.config.defaults import is_unspecified, url_host
from proxy.config.deployment import deployed_presets, deployed_sources
from proxy.config.presets import Presets
from proxy.config.settings import Settings
from proxy.model.errors import ProxyError
from proxy.model.negotiation import bucket
from proxy.requests.read import ServingTerms, read_request
from proxy.url.build import format_path, format_url, with_expiry

EXAMPLES = 3
EXAMPLE_LIFETIME = 3600
"""Seconds until a signed example ends: it stays in logs, where others read it."""

EXAMPLE_OPTIONS = ("w_300,h_200", "w_600,f_auto,q_auto", "w_400,h_400,g_attention,f_webp")
LISTED_WIDTH = 300
"""What the width of an example is near to, of those that unsigned URLs may have."""


def announce(settings: Settings, port: int, metrics_port: int | None) -> None:
    """For people, on standard output: where it listens, and what to click first."""
    host = url_host(settings.host)
    base = f"http://{host}:{port}"
    others = " (and at every other address of this machine)" if is_unspecified(settings.host) else ""
    print(f"image-proxy listens on {base}{settings.mount}{others}", flush=True)
    if metrics_port is not None:
        print(f"metrics are at http://{host}:{metrics_port}/metrics", flush=True)
    if settings.unsigned == "allow":
        print(f"unsigned URLs are served: {audience(settings)} may ask for anything", file=sys.stderr)
    try:
        for url in example_urls(settings, base, time.time()):
            print(f"  {url}", flush=True)
    except NoExamples as reason:
        print(f"  no example to click: {reason}", flush=True)


def audience(settings: Settings) -> str:
    """Say who reaches a server without signatures: on loopback too, that is not this machine alone."""
    if settings.dev:
        return "this machine"
    if settings.is_loopback:
        return "this machine, and anybody by a reverse proxy in front (set IMAGE_PROXY_SECRETS then),"
    return "anybody who reaches this address"


def example_urls(settings: Settings, base: str, now: float) -> list[str]:
    """
    Three URLs at `base` that this deployment serves: signed and soon to end where there are secrets, else
    within what its policy allows. `now` is in unix seconds. Raises NoExamples, which says why there are none.
    """
    sources, presets = deployed_sources(settings), deployed_presets(settings)
    terms = serving_terms(settings, sources)
    found = list(islice(_served_options(terms, presets), EXAMPLES))
    if not found:
        raise NoExamples(
            f"without a signature a URL names a preset{_or_size(settings)}, and {settings.presets} has none"
        )
    keys = example_keys(sources, f"image-proxy url {found[0]} KEY --base {base}")
    secret = next(iter(settings.signing_secrets), None)
    urls = []
    for place, options in enumerate(found):
        path = format_path(options, keys[place % len(keys)])
        if secret is not None:
            path = with_expiry(path, int(now) + EXAMPLE_LIFETIME)
        urls.append(format_url(path, secret=secret, mount=settings.mount, base=base))
    return urls


def _or_size(settings: Settings) -> str:
    return " or a listed size" if settings.unsigned == "listed" else ""


def _served_options(terms: ServingTerms, presets: Presets) -> Iterator[str]:
    """Options that a URL may have: those that are always shown if it may, else what the policy names."""
    if terms.secrets:  # what is signed is judged by no policy
        terms = replace(terms, secrets=(), policy="allow")
    for options in (*EXAMPLE_OPTIONS, *_listed_options(presets), *_preset_options(presets)):
        path = f"{terms.mount}{format_path(options, 'a')}"
        try:
            read_request(terms, presets, path.encode(), b"", bucket(None))
        except ProxyError:
            continue
        yield options


def _listed_options(presets: Presets) -> Iterator[str]:
    listed = presets.listed
    widths = sorted(listed.width, key=lambda width: abs(width - LISTED_WIDTH))
    yield from (f"w_{width}{more}" for width, more in zip(widths, ("", ",f_auto", ",f_webp"), strict=False))
    heights = sorted(listed.height, key=lambda height: abs(height - LISTED_WIDTH))
    yield from (f"h_{height}" for height in heights[:EXAMPLES])


def _preset_options(presets: Presets) -> Iterator[str]:
    """Presets, those that need no second picture first."""
    yield from (f"p_{name}" for name in sorted(presets.presets, key=lambda name: _overlays(presets, name)))


def _overlays(presets: Presets, name: str) -> bool:
    return "overlay" in presets.presets[name].options
