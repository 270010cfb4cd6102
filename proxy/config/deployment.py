"""The presets and the origins of a deployment: what the files say that its settings name."""

from __future__ import annotations

from dataclasses import replace

from proxy.clients.address import scheme_of
from proxy.clients.object_store import environment_options
from proxy.config.origins_file import read_origins
from proxy.config.presets import NO_PRESETS, Presets, load_presets
from proxy.config.settings import Settings
from proxy.origins.sources import Source, Sources


def deployed_presets(settings: Settings) -> Presets:
    """The presets of the file; none when the default file is not there. Raises InvalidPresets."""
    if not settings.presets.exists() and "presets" not in settings.model_fields_set:
        return NO_PRESETS
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
    return found.each(with_environment_options)


def with_environment_options(source: Source) -> Source:
    """
    `source` with the endpoint and the account from the provider's own variables, where it has none itself:
    they tell its bucket from another of the same name.
    """
    found = environment_options(scheme_of(source.url))
    return replace(source, options={**found, **source.options}) if found else source
