"""The settings of a deployment: flags over environment over defaults, and every mistake named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from proxy.config.coherence import check_together, warnings_about
from proxy.config.defaults import (
    available_cores,
    default_cache,
    default_log_format,
    default_originals_cache,
    is_loopback,
    unsigned_policy,
)
from proxy.config.environment import ENV_PREFIX, InvalidSettings, problem_of, read_environment
from proxy.config.fields import (
    Bytes,
    CaseInsensitive,
    Count,
    Delay,
    HostNames,
    Lifetime,
    MountPoint,
    Networks,
    Pixels,
    Port,
    ProcessCount,
    Rate,
    ScriptsOrigin,
    Secrets,
    Timeout,
    Token,
)
from proxy.model.limits import Limits
from proxy.url.signing import Secret, parse_secrets

CONFIDENTIAL = frozenset({"secrets", "admin_token"})  # never shown, and never empty by accident

_LIMITS = Limits()

Policy = Literal["deny", "presets", "listed", "allow"]


class Settings(BaseSettings):
    """Each field is a flag and a variable; its description is all the documentation there is of it."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    host: str = Field("127.0.0.1", min_length=1, description="Address of the public listener.")
    port: Port = Field(8000, description="Port of the public listener; 0 takes a free one and prints it.")
    trusted_proxies: Networks = Field(
        (),
        description="Addresses and networks of the proxies in front, comma-separated, whose Forwarded or "
        "X-Forwarded-For tells the client; without any, it is who connects.",
    )
    dev: bool = Field(
        False,
        description="For work on this machine alone: unsigned URLs, metrics and purges are open to it, and "
        "browsers revalidate every picture. Not with another host, secrets or trusted proxies.",
    )
    workers: ProcessCount = Field(1, description="Web processes.")
    renderers: ProcessCount = Field(
        default_factory=available_cores,
        description="Renderer processes, over all web processes.",
        json_schema_extra={"shown": "one a core"},
    )
    origin: str = Field(
        "./originals",
        min_length=1,
        repr=False,
        description="The default origin: a folder, file://, http(s)://, s3://bucket/prefix, gs:// or az://.",
    )
    origins: str | None = Field(
        None,
        min_length=1,
        repr=False,
        description="Named origins: a YAML file, or name=url pairs, comma-separated. Keys begin with a name.",
    )
    remote_hosts: HostNames = Field(
        (),
        description="Hosts allowed in keys that are URLs, comma-separated; '.example.com': its subdomains.",
    )
    private_networks: bool = Field(
        False, description="Lets the configured origins resolve to private addresses, loopback included."
    )
    cache: str = Field(
        default_factory=default_cache,
        repr=False,
        description="Where renditions are kept, nearest first, comma-separated: memory://SIZE, "
        "disk:///path?size=SIZE, redis://, redis+sentinel://, redis+cluster://, s3://; or 'none'.",
        json_schema_extra={"shown": "memory://256MB,disk://~/.cache/image-proxy?size=2GB"},
    )
    originals_cache: str = Field(
        default_factory=default_originals_cache,
        repr=False,
        description="Where fetched originals are kept, under their origin's own caching headers: "
        "memory://SIZE, disk:///path?size=SIZE; or 'none'. A folder's originals are not.",
        json_schema_extra={"shown": "memory://128MB,disk://~/.cache/image-proxy/originals?size=4GB"},
    )
    originals_max_age: Lifetime = Field(
        60, description="How long an original is used unasked when its origin does not say how long."
    )
    secrets: Secrets | None = Field(
        None,
        description="Secrets that sign URLs, 'secret' or 'id:secret', comma-separated; the first one signs.",
    )
    unsigned: Policy = Field(
        default_factory=unsigned_policy,
        description="URLs served without a signature: none (deny), a preset alone (presets), those within "
        "the lists of the presets file (listed), or all (allow).",
        json_schema_extra={"shown": "deny with secrets or trusted proxies, else allow on loopback"},
    )
    unsigned_public: bool = Field(
        False, description="The second word that '--unsigned allow' needs on an address other than loopback."
    )
    presets: Path = Field(Path("presets.yaml"), description="YAML file of presets, lists and overlays.")
    allow_origin: ScriptsOrigin = Field(
        "*",
        description="Whose scripts may read renditions and their timing: '*', or one 'https://host'.",
    )
    mount: MountPoint = Field("", description="Path prefix such as '/_ipx'.")
    admin_token: Token | None = Field(
        None,
        description="Opens purges, /metrics and the detail of /readyz to its bearer; without one they are "
        "closed, and open under --dev.",
    )
    metrics_port: Port | None = Field(
        None,
        description="Port of a listener for /metrics and the detail of /readyz, to be kept from the public; "
        "without one they are on the public listener, for the admin token.",
    )
    max_source_bytes: Bytes = Field(_LIMITS.max_source_bytes, description="Largest original that is read.")
    max_source_pixels: Pixels = Field(
        _LIMITS.max_source_pixels,
        description="Largest original that is decoded, over all frames; progressive ones get half.",
    )
    max_source_side: Count = Field(_LIMITS.max_source_side, description="Longest side of an original, in px.")
    max_frames: Count = Field(_LIMITS.max_frames, description="Most frames of an animation.")
    max_result_pixels: Pixels = Field(
        _LIMITS.max_result_pixels, description="Largest rendition, over all frames."
    )
    max_result_side: Count = Field(
        _LIMITS.max_result_side,
        description="Longest side of a rendition, in px; what would be longer is scaled down.",
    )
    render_timeout: Timeout = Field(_LIMITS.render_timeout, description="Time for one rendition.")
    avif_budget: Delay = Field(
        _LIMITS.avif_budget,
        description="Time that an AVIF may take while somebody waits, where the format is negotiated: beyond "
        "it the answer is another format for now, and the AVIF is made meanwhile.",
    )
    damaged: Literal["refuse", "show"] = Field(
        "refuse",
        description="What a truncated original is: an error, or its picture as far as it goes, for a minute.",
    )
    render_memory: Bytes = Field(
        2 * 10**9, ge=256 * 10**6, description="Address space of one renderer process; 256MB at the least."
    )
    fetch_timeout: Timeout = Field(10.0, description="Time for one answer of an origin.")
    queue_size: Count = Field(64, description="Renditions that may wait for a renderer; more get a 503.")
    queue_bytes: Bytes = Field(512_000_000, description="The same in bytes of their originals, in memory.")
    render_rate: Rate | None = Field(
        None,
        description="Renditions that one client may have made, such as '60/minute'; more get a 429. Over all "
        "processes where a Redis is among the caches. Hits do not count.",
    )
    max_age: Lifetime = Field(86_400, description="How long browsers keep a rendition.")
    s_maxage: Lifetime = Field(365 * 86_400, description="How long CDNs and the own cache keep it.")
    stale_while_revalidate: Lifetime = Field(
        86_400, description="How long after that it is served while a new one is made."
    )
    stale_if_error: Lifetime = Field(604_800, description="The same while the origin is down.")
    head_timeout: Timeout = Field(10.0, description="Time for a request's head to come.")
    idle_timeout: Timeout = Field(75.0, description="Time between two requests; a CDN in front needs less.")
    slow_timeout: Timeout = Field(30.0, description="Time after which slow bodies and readers are ended.")
    min_rate: Bytes = Field(1_000, description="Bytes a second over that time, below which they are slow.")
    max_sending_bytes: Bytes = Field(256_000_000, description="What may wait, a web process, for readers.")
    purge_lease: Timeout = Field(5.0, description="How long Redis may be silent until hits are validated.")
    drain_delay: Delay = Field(0.0, description="After SIGTERM, time not ready and still accepting.")
    drain_timeout: Timeout = Field(30.0, description="After that, time for requests under way to end.")
    fast_lane: bool = Field(True, description="Whether repeats of a hit in memory take a shorter way.")
    server_timing: bool = Field(True, description="Whether answers carry Server-Timing.")
    log_format: Literal["human", "json"] = Field(
        default_factory=default_log_format,
        description="Lines for people or for machines, on stderr.",
        json_schema_extra={"shown": "human on a terminal, else json"},
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], CaseInsensitive] = Field(
        "info", description="The least of what is logged."
    )

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        check_together(self)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _Environment(settings_cls)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect, so that development's defaults are safe."""
        return is_loopback(self.host)

    @property
    def signing_secrets(self) -> tuple[Secret, ...]:
        """The secrets that verify signatures, of which the first signs; empty without any."""
        return parse_secrets(self.secrets.get_secret_value()) if self.secrets else ()

    @property
    def limits(self) -> Limits:
        said = Limits.__dataclass_fields__.keys() & Settings.model_fields.keys()
        return Limits(**{name: getattr(self, name) for name in said}, show_damaged=self.damaged == "show")

    @property
    def warnings(self) -> list[str]:
        """Sentences about what may be a mistake, for the log at start."""
        return warnings_about(self)


class _Environment(PydanticBaseSettingsSource):
    """In place of the built-in source, which wants JSON for lists, knows no files and skips unknown names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(read_environment(os.environ, Settings.model_fields, CONFIDENTIAL))


def load_settings(**flags: object) -> Settings:
    """
    Read settings from `flags` (None: not given), else the environment, else defaults.
    Raises InvalidSettings, which names each culprit by the flag or the variable that gave it.
    """
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = [
            problem_of(each, given, CONFIDENTIAL)
            for each in error.errors()
            if each["type"] != "default_factory_not_called"
        ]
    raise InvalidSettings(problems)
