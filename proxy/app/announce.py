"""What a server says when it starts: where it listens, and what to click first."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from proxy.config.deployment import deployed_sources
from proxy.config.settings import Settings
from proxy.model.media import SUFFIXES
from proxy.origins.sources import Sources
from proxy.url.signing import sign


def announce(settings: Settings, port: int, metrics_port: int | None) -> None:
    """For people, on standard output: where it listens, and what to click first."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    base = f"http://{host}:{port}{settings.mount}"
    print(f"image-proxy listens on {base}", flush=True)
    if metrics_port is not None:
        print(f"metrics are at http://{host}:{metrics_port}/metrics", flush=True)
    if settings.unsigned == "allow":
        print(
            "unsigned URLs are served: anybody who reaches this address may ask for anything", file=sys.stderr
        )
    examples = ("w_300,h_200", "w_600,f_auto,q_auto", "w_400,h_400,g_attention,f_webp")
    for options, key in zip(examples, keys(deployed_sources(settings)), strict=False):
        path = f"/{options}/{quote(key)}"
        signature = (
            f"/s--{sign(settings.signing_secrets[0].value, path.encode())}--" if settings.secrets else ""
        )
        print(f"  {base}{signature}{path}", flush=True)


def keys(sources: Sources) -> Iterator[str]:
    """
    Three keys to show: pictures of a local folder, the default origin's or a named one's, over and over when
    there are fewer.
    """
    named = {f"{name}/": source for name, source in sources.named.items()}
    origins = named if sources.default is None else {"": sources.default, **named}
    found = [prefix + name for prefix, source in origins.items() for name in pictures(source.url)]
    for place in range(3):
        yield found[place % len(found)] if found else f"{next(iter(origins), '')}path/of/an/original.jpg"


def pictures(url: str) -> list[str]:
    """The first three pictures right in a local folder."""
    parts = urlsplit(url)
    folder = Path(unquote(parts.path) if parts.scheme == "file" else url).expanduser()
    if parts.scheme not in ("", "file") or not folder.is_dir():
        return []
    there = (path for path in sorted(folder.iterdir()) if path.suffix[1:].lower() in SUFFIXES)
    return [path.name for path in islice(there, 3)]
