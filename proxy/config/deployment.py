"""The presets and the origins of a deployment: what the files say that its settings name."""

from __future__ import annotations

from dataclasses import replace

from proxy.clients.address import scheme_of
from proxy.clients.object_store import environment_credentials, environment_options
from proxy.config.origins_file import read_origins
from proxy.config.presets import NO_PRESETS, Presets, load_presets
from proxy.config.settings import Settings
from proxy.origins.remote_hosts import remote_hosts
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
    found = replace(
        found, remote=remote_hosts(settings.remote_hosts), remote_private=settings.private_networks
    )
    return found.each(with_environment)


def with_environment(source: Source) -> Source:
    """
    `source` with the endpoint and the account from the provider's own variables, where it has none itself,
    and with the credentials there: they tell its bucket from another of the same name, and from the same one
    under other credentials.
    """
    scheme = scheme_of(source.url)
    options = {**environment_options(scheme), **source.options}
    return replace(source, options=options, environment=environment_credentials(scheme))
