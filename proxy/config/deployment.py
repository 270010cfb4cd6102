"""What the files say that settings name."""

from __future__ import annotations

from dataclasses import replace

from proxy.clients.address import scheme_of
from proxy.clients.object_store import ACCOUNTS, ENDPOINTS, from_environment
from proxy.config.origins_file import read_origins
from proxy.config.presets import EMPTY, Presets, load_presets
from proxy.config.settings import Settings
from proxy.origins.sources import Source, Sources


def deployed_presets(settings: Settings) -> Presets:
    """Those of the file; none when the default file is not there. Raises InvalidPresets."""
    if not settings.presets.exists() and "presets" not in settings.model_fields_set:
        return EMPTY
    return load_presets(settings.presets)


def deployed_sources(settings: Settings) -> Sources:
    """
    Where originals come from: the default origin, unless there are named ones and it was not named too.
    Raises InvalidSources.
    """
    default = Source(url=settings.origin)
    found = Sources(default=default) if settings.origins is None else read_origins(settings.origins)
    if "origin" in settings.model_fields_set:
        found = replace(found, default=default, chosen=None)
    if settings.private_networks:
        found = found.private
    return found.each(located)


def located(source: Source) -> Source:
    """
    `source` with the endpoint and the account that the provider's variables say, where it says none itself:
    they tell its bucket from another of the same name.
    """
    scheme = scheme_of(source.url)
    said = {
        "endpoint": from_environment(ENDPOINTS, scheme),
        "account_name": from_environment(ACCOUNTS, scheme),
    }
    found = {name: text for name, text in said.items() if text}
    return replace(source, options={**found, **source.options}) if found else source
