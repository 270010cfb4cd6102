"""
What one deployment is told: flags over environment over defaults, and every mistake named.

Longer than 300 lines because half of it is one table that has nowhere to be cut: the fields of Settings.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from proxy.limits import Limits
from proxy.signing import Secret, parse_secrets
from proxy.units import BYTES, PIXELS, SECONDS, Units

PREFIX = "IMAGE_PROXY_"
SHORT_SECRET = 32  # bytes: as much as the HMAC that it keys (RFC 2104 section 3)
PLACEHOLDERS = re.compile(
    rb"(?:my|your|top)?(?:admin|secret|secrets|token|password)(?:here)?|"
    rb"change(?:it|me)?|default|example|placeholder|replaceme|test|todo|x+"
)
CONFIDENTIAL = frozenset({"secrets", "admin_token"})  # never shown, and never empty by accident

_LIMITS = Limits()
_HOST = re.compile(r"(?:\.?[\w-]+(?:\.[\w-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
_MOUNT = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
# What Kubernetes puts into every container of a namespace that has a Service named image-proxy.
_SERVICE_LINK = re.compile(r".*_SERVICE_(?:HOST|PORT(?:_\w+)?)|.*_PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_\w+)?")


class InvalidSettings(Exception):
    """This deployment cannot start as it was told to. `problems` are sentences, and hold no secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _split(given: object) -> object:
    return [item.strip() for item in given.split(",") if item.strip()] if isinstance(given, str) else given


def _lower(given: object) -> object:
    return given.lower() if isinstance(given, str) else given


def _hosts(given: tuple[str, ...]) -> tuple[str, ...]:
    hosts = tuple(host.lower() for host in given)
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(
                "takes host names such as 'a.example.com' or 'a.example.com:8443', or '.example.com' for "
                f"subdomains, not {host!r}"
            )
    return hosts


def _origin(given: str) -> str:
    if given != "*" and not _ORIGIN.fullmatch(given):
        raise ValueError(f"takes '*' or an origin such as 'https://www.example.com', not {given!r}")
    return given


def _mount(given: str) -> str:
    mount = "/" + given.strip("/") if given.strip("/") else ""
    if not _MOUNT.fullmatch(mount):
        raise ValueError(f"takes a path such as '/_ipx', not {given!r}")
    return mount


def _refuse_placeholder(secret: bytes) -> None:
    if PLACEHOLDERS.fullmatch(re.sub(rb"[^a-z0-9]", b"", secret.lower())):
        raise ValueError("a placeholder protects nothing; make a secret with `openssl rand -hex 32`")


def _secrets(given: SecretStr) -> SecretStr:
    for secret in parse_secrets(given.get_secret_value()):
        _refuse_placeholder(secret.value)
    return given


def _token(given: SecretStr) -> SecretStr:
    token = given.get_secret_value()
    if not re.fullmatch(r"[!-~]+", token):
        raise ValueError("takes visible ASCII characters without spaces: it is sent in an HTTP header")
    _refuse_placeholder(token.encode())
    return given


def _cores() -> int:
    """The cores this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cache() -> str:
    return _tiers("memory://256MB", "image-proxy", "2GB")


def _originals_cache() -> str:
    return _tiers("memory://128MB", "image-proxy/originals", "4GB")


def _tiers(memory: str, name: str, size: str) -> str:
    home = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(home if os.path.isabs(home) else os.path.expanduser("~/.cache"), name)
    if not folder.is_absolute():  # a user without a home, as in many containers
        return memory
    return f"{memory},disk://{quote(str(folder))}?size={size}"


def _unsigned(earlier: dict[str, Any]) -> Policy:
    return "allow" if earlier["secrets"] is None and _is_loopback(earlier["host"]) else "deny"


def _log_format() -> Literal["human", "json"]:
    return "human" if sys.stderr.isatty() else "json"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


Policy = Literal["deny", "presets", "listed", "allow"]
Port = Annotated[int, Field(ge=0, le=65_535)]
Count = Annotated[int, Field(ge=1)]
Processes = Annotated[int, Field(ge=1, le=1024)]
Bytes = Annotated[int, BYTES, BeforeValidator(BYTES.parse), Field(ge=1)]
Pixels = Annotated[int, PIXELS, BeforeValidator(PIXELS.parse), Field(ge=1)]
Timeout = Annotated[float, SECONDS, BeforeValidator(SECONDS.parse), Field(gt=0, le=3600)]
Delay = Annotated[float, SECONDS, BeforeValidator(SECONDS.parse), Field(ge=0, le=3600)]
Lifetime = Annotated[int, SECONDS, BeforeValidator(SECONDS.parse), Field(ge=0, lt=2**31)]  # RFC 9111 1.2.2


class Settings(BaseSettings):
    """Each field is a flag and a variable; its description is all the documentation there is of it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    host: str = Field("127.0.0.1", min_length=1, description="Address of the public listener.")
    port: Port = Field(8000, description="Port of the public listener; 0 takes a free one and prints it.")
    workers: Processes = Field(1, description="Web processes.")
    renderers: Processes = Field(
        default_factory=_cores,
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
    remote_hosts: Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_hosts)] = Field(
        (),
        description="Hosts allowed in keys that are URLs, comma-separated; '.example.com': its subdomains.",
    )
    private_networks: bool = Field(
        False, description="Lets the configured origins resolve to private addresses, loopback included."
    )
    cache: str = Field(
        default_factory=_cache,
        repr=False,
        description="Where renditions are kept, nearest first, comma-separated: memory://SIZE, "
        "disk:///path?size=SIZE, redis://, redis+sentinel://, redis+cluster://, s3://; or 'none'.",
        json_schema_extra={"shown": "memory://256MB,disk://~/.cache/image-proxy?size=2GB"},
    )
    originals_cache: str = Field(
        default_factory=_originals_cache,
        repr=False,
        description="Where fetched originals are kept, under their origin's own caching headers: "
        "memory://SIZE, disk:///path?size=SIZE; or 'none'. A folder's originals are not.",
        json_schema_extra={"shown": "memory://128MB,disk://~/.cache/image-proxy/originals?size=4GB"},
    )
    originals_max_age: Lifetime = Field(
        60, description="How long an original is used unasked when its origin does not say how long."
    )
    secrets: Annotated[SecretStr, AfterValidator(_secrets)] | None = Field(
        None,
        description="Secrets that sign URLs, 'secret' or 'id:secret', comma-separated; the first one signs.",
    )
    unsigned: Policy = Field(
        default_factory=_unsigned,
        description="URLs served without a signature: none (deny), a preset alone (presets), those within "
        "the lists of the presets file (listed), or all (allow).",
        json_schema_extra={"shown": "deny with secrets, else allow on loopback"},
    )
    unsigned_public: bool = Field(
        False, description="The second word that '--unsigned allow' needs on an address other than loopback."
    )
    presets: Path = Field(Path("presets.yaml"), description="YAML file of presets, lists and overlays.")
    allow_origin: Annotated[str, AfterValidator(_origin)] = Field(
        "*",
        description="Whose scripts may read renditions and their timing: '*', or one 'https://host'.",
    )
    mount: Annotated[str, AfterValidator(_mount)] = Field("", description="Path prefix such as '/_ipx'.")
    admin_token: Annotated[SecretStr, AfterValidator(_token)] | None = Field(
        None,
        description="Opens the admin surface to its bearer; without one it is off, and on loopback open.",
    )
    metrics_port: Port | None = Field(
        None,
        description="Port of a listener for /metrics; without one it is on the public one, if on loopback.",
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
    render_memory: Bytes = Field(2 * 10**9, description="Address space of one renderer process.")
    fetch_timeout: Timeout = Field(10.0, description="Time for one answer of an origin.")
    queue_size: Count = Field(
        64, description="Renditions that may wait for a renderer before new ones get a 503."
    )
    queue_bytes: Bytes = Field(
        512_000_000, description="The same in bytes of their originals, which wait in memory."
    )
    max_age: Lifetime = Field(86_400, description="How long browsers keep a rendition.")
    s_maxage: Lifetime = Field(365 * 86_400, description="How long CDNs and the own cache keep it.")
    stale_while_revalidate: Lifetime = Field(
        86_400, description="How long after that it is served while a new one is made."
    )
    stale_if_error: Lifetime = Field(
        604_800, description="How long after that it is served while the origin is down."
    )
    drain_delay: Delay = Field(0.0, description="After SIGTERM, time not ready and still accepting.")
    drain_timeout: Timeout = Field(30.0, description="After that, time for requests under way to end.")
    server_timing: bool = Field(True, description="Whether answers carry Server-Timing.")
    log_format: Literal["human", "json"] = Field(
        default_factory=_log_format,
        description="Lines for people or for machines, on stderr.",
        json_schema_extra={"shown": "human on a terminal, else json"},
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
        "info", description="The least of what is logged."
    )

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        if self.unsigned == "deny" and self.secrets is None:
            raise ValueError(
                f"nothing could be served on {self.host}: unsigned URLs are denied, and there is no secret "
                f"to sign with. Set {PREFIX}SECRETS, or {PREFIX}UNSIGNED to presets or listed"
            )
        if self.unsigned == "allow" and not self.is_loopback and not self.unsigned_public:
            raise ValueError(
                f"{PREFIX}UNSIGNED=allow on {self.host} lets anybody spend this machine's time. Set it to "
                f"presets or listed, or say it twice with {PREFIX}UNSIGNED_PUBLIC=true"
            )
        token = self.admin_token.get_secret_value().encode() if self.admin_token else None
        if token is not None and any(secret.value == token for secret in self.signing_secrets):
            raise ValueError(f"{PREFIX}ADMIN_TOKEN must not be one of {PREFIX}SECRETS")
        if self.metrics_port and self.metrics_port == self.port:
            raise ValueError(f"{PREFIX}METRICS_PORT and {PREFIX}PORT are both {self.port}")
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
        return _is_loopback(self.host)

    @property
    def signing_secrets(self) -> tuple[Secret, ...]:
        """The first one signs, all verify; empty without secrets."""
        return parse_secrets(self.secrets.get_secret_value()) if self.secrets else ()

    @property
    def limits(self) -> Limits:
        said = Limits.__dataclass_fields__.keys() & Settings.model_fields.keys()
        return Limits(**{name: getattr(self, name) for name in said})

    @property
    def warnings(self) -> list[str]:
        """What may be meant so and is worth a line at start."""
        found = [
            f"{PREFIX}SECRETS: secret {secret.id or place} has {len(secret.value)} bytes; "
            f"give it {SHORT_SECRET} or more"
            for place, secret in enumerate(self.signing_secrets, start=1)
            if len(secret.value) < SHORT_SECRET
        ]
        if self.admin_token and len(self.admin_token) < SHORT_SECRET:
            found.append(
                f"{PREFIX}ADMIN_TOKEN has {len(self.admin_token)} bytes; give it {SHORT_SECRET} or more"
            )
        if self.unsigned == "allow" and not self.is_loopback:
            found.append(f"anybody who reaches {self.host} may ask for any rendition")
        return found


class _Environment(PydanticBaseSettingsSource):
    """In place of the built-in source, which wants JSON for lists, knows no files and skips unknown names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(read_environment(os.environ))


def variable(name: str) -> str:
    return PREFIX + name.upper()


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def read_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """
    The text given to each setting by `IMAGE_PROXY_NAME`, or by the file that `IMAGE_PROXY_NAME_FILE` names,
    less a trailing newline. Empty means not given. Raises InvalidSettings for unknown names, files that
    cannot be read, a setting given both ways, and an empty secret, which is a deployment gone wrong.
    """
    given: dict[str, str] = {}
    problems: list[str] = []
    direct = {variable(name): name for name in Settings.model_fields}
    by_file = {f"{known}_FILE": name for known, name in direct.items()}
    for each, text in environ.items():
        if not each.startswith(PREFIX) or _is_service_link(each, text):
            continue
        name = direct.get(each) or by_file.get(each)
        if name is None:
            problems.append(_unknown(each, [*direct, *by_file]))
            continue
        if each in by_file and text:
            if environ.get(variable(name)):
                problems.append(f"{variable(name)} and {each} are both set; unset one")
            try:
                text = Path(text).read_text().rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not text"
                problems.append(f"{each}: {text!r} cannot be read: {reason}")
                continue
        if text:
            given[name] = text
        elif name in CONFIDENTIAL:
            problems.append(f"{each} is empty; unset it to have none")
    if problems:
        raise InvalidSettings(problems)
    return given


def _is_service_link(each: str, text: str) -> bool:
    by_value = each.endswith("_PORT") and text.startswith(("tcp://", "udp://", "sctp://"))
    return by_value or _SERVICE_LINK.fullmatch(each) is not None


def _unknown(each: str, known: list[str]) -> str:
    bare = {name.removeprefix(PREFIX): name for name in known}
    near = difflib.get_close_matches(each.removeprefix(PREFIX).upper(), bare, n=1)
    return f"no setting {each!r}" + (f"; did you mean {bare[near[0]]!r}?" if near else "")


def load(**flags: object) -> Settings:
    """
    Settings from `flags` (None: not given), else the environment, else defaults. Raises InvalidSettings,
    which names each culprit by the flag or the variable that gave it.
    """
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = [
            _problem(each, given) for each in error.errors() if each["type"] != "default_factory_not_called"
        ]
    raise InvalidSettings(problems)


def _problem(error: ErrorDetails, given: Mapping[str, object]) -> str:
    own = error.get("ctx", {}).get("error")
    if not error["loc"]:
        return str(own)
    name = str(error["loc"][0])
    where = flag(name) if name in given else variable(name)
    if own is not None:
        return f"{where}: {own}"
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"{where}: {message}" + ("" if name in CONFIDENTIAL else f", not {error['input']!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting as documentation shows it."""

    flag: str
    environment: str
    default: str
    meaning: str


def settings_table() -> list[Row]:
    return [
        Row(
            flag=flag(name),
            environment=variable(name),
            default=_shown(field),
            meaning=field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]


def _shown(field: FieldInfo) -> str:
    if isinstance(field.json_schema_extra, dict):
        return str(field.json_schema_extra["shown"])
    if field.default in (None, "", ()):
        return "none"
    if isinstance(field.default, bool):
        return str(field.default).lower()
    units = next((each for each in field.metadata if isinstance(each, Units)), None)
    return units.format(field.default) if units else str(field.default)
