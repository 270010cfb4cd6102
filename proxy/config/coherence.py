"""What settings mean together: contradictions that refuse to start, and what is probably a mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config.environment import ENV_PREFIX

if TYPE_CHECKING:
    from proxy.config.settings import Settings

SHORT_SECRET = 32  # bytes: as much as the HMAC that it keys (RFC 2104 section 3)


MIN_PUBLIC_SECRET = 16  # bytes: fewer could be guessed by whoever has one signed URL


def check_together(settings: Settings) -> None:
    """Raise ValueError, naming the settings to change, where two of them contradict each other."""
    if settings.dev:
        check_development(settings)
    if settings.unsigned == "deny" and settings.secrets is None:
        raise ValueError(
            f"nothing could be served on {settings.host}: unsigned URLs are denied, and there is no secret "
            f"to sign with. Set {ENV_PREFIX}SECRETS, or {ENV_PREFIX}UNSIGNED to presets or listed"
        )
    if settings.unsigned == "allow" and not settings.is_loopback and not settings.unsigned_public:
        raise ValueError(
            f"{ENV_PREFIX}UNSIGNED=allow on {settings.host} lets anybody spend this machine's time. Set it "
            f"to presets or listed, or say it twice with {ENV_PREFIX}UNSIGNED_PUBLIC=true"
        )
    token = settings.admin_token.get_secret_value().encode() if settings.admin_token else None
    if token is not None and any(secret.value == token for secret in settings.signing_secrets):
        raise ValueError(f"{ENV_PREFIX}ADMIN_TOKEN must not be one of {ENV_PREFIX}SECRETS")
    if not settings.is_loopback:
        check_lengths(settings)
    if settings.metrics_port and settings.metrics_port == settings.port:
        raise ValueError(f"{ENV_PREFIX}METRICS_PORT and {ENV_PREFIX}PORT are both {settings.port}")


def check_development(settings: Settings) -> None:
    """Raise ValueError where development is said of what others are to reach."""
    against = {
        f"the host {settings.host}": not settings.is_loopback,
        f"{ENV_PREFIX}TRUSTED_PROXIES": bool(settings.trusted_proxies),
        f"{ENV_PREFIX}SECRETS": settings.secrets is not None,
    }
    if found := [name for name, given in against.items() if given]:
        raise ValueError(
            f"--dev is for work on this machine alone, and is not to be had with {' and '.join(found)}. "
            "Leave one or the other out"
        )


def check_lengths(settings: Settings) -> None:
    """Raise ValueError for a secret or a token that is too short for an address that others reach."""
    lengths = {
        f"{ENV_PREFIX}SECRETS: secret {secret.id or place}": len(secret.value)
        for place, secret in enumerate(settings.signing_secrets, start=1)
    }
    if settings.admin_token:
        lengths[f"{ENV_PREFIX}ADMIN_TOKEN"] = len(settings.admin_token)
    for name, length in lengths.items():
        if length < MIN_PUBLIC_SECRET:
            raise ValueError(
                f"{name} has {length} bytes, and on {settings.host} it needs at least {MIN_PUBLIC_SECRET}: "
                "make one with `openssl rand -hex 32`"
            )


def warnings_about(settings: Settings) -> list[str]:
    """Return sentences about what may be a mistake, for the log at start."""
    found = [
        f"{ENV_PREFIX}SECRETS: secret {secret.id or place} has {len(secret.value)} bytes; "
        f"give it {SHORT_SECRET} or more"
        for place, secret in enumerate(settings.signing_secrets, start=1)
        if len(secret.value) < SHORT_SECRET
    ]
    if settings.admin_token and len(settings.admin_token) < SHORT_SECRET:
        found.append(
            f"{ENV_PREFIX}ADMIN_TOKEN has {len(settings.admin_token)} bytes; give it {SHORT_SECRET} or more"
        )
    if settings.unsigned == "allow" and not settings.is_loopback:
        found.append(f"anybody who reaches {settings.host} may ask for any rendition")
    return found
