"""What a server says when it starts: where it listens, and what to click first."""

from __future__ import annotations

import sys
from urllib.parse import quote

from proxy.app.pictures import example_keys
from proxy.config.deployment import deployed_sources
from proxy.config.settings import Settings
from proxy.url.signing import sign


def announce(settings: Settings, port: int, metrics_port: int | None) -> None:
    """For people, on standard output: where it listens, and what to click first."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    base = f"http://{host}:{port}{settings.mount}"
    print(f"image-proxy listens on {base}", flush=True)
    if metrics_port is not None:
        print(f"metrics are at http://{host}:{metrics_port}/metrics", flush=True)
    if settings.unsigned == "allow":
        print(f"unsigned URLs are served: {audience(settings)} may ask for anything", file=sys.stderr)
    examples = ("w_300,h_200", "w_600,f_auto,q_auto", "w_400,h_400,g_attention,f_webp")
    for options, key in zip(examples, example_keys(deployed_sources(settings)), strict=False):
        path = f"/{options}/{quote(key)}"
        signature = (
            f"/s--{sign(settings.signing_secrets[0].value, path.encode())}--" if settings.secrets else ""
        )
        print(f"  {base}{signature}{path}", flush=True)


def audience(settings: Settings) -> str:
    """Say who reaches a server without signatures: on loopback too, that is not this machine alone."""
    if settings.dev:
        return "this machine"
    if settings.is_loopback:
        return "this machine, and anybody by a reverse proxy in front (set IMAGE_PROXY_SECRETS then),"
    return "anybody who reaches this address"
