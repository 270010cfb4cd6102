"""The settings as flags of `serve`, and as the tables that document them; both are made from `Settings`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, Signature
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from proxy.cli import tables
from proxy.config.environment import flag_name, variable_name
from proxy.config.settings import Settings
from proxy.config.units import BYTES, PIXELS, SECONDS, Units

QUANTITIES: tuple[tuple[Units, str], ...] = ((BYTES, "SIZE"), (PIXELS, "PIXELS"), (SECONDS, "TIME"))


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """
    Give `command` a flag for each setting. It is called with text, or None for what was not given: that
    `settings.load` reads it means that a flag and a variable are written alike and refused alike.
    """
    command.__signature__ = Signature(  # type: ignore[attr-defined]  # where inspect and typer look first
        [
            Parameter(
                name, Parameter.KEYWORD_ONLY, default=_option(row.flag, field, help), annotation=_type(field)
            )
            for (name, field), row in zip(Settings.model_fields.items(), settings_table(), strict=True)
            for help in [f"{row.meaning} [{row.environment}; default: {row.default}]"]
        ]
    )
    return command


def _option(flag: str, field: FieldInfo, help: str) -> Any:
    if field.annotation is bool:
        return typer.Option(None, f"{flag}/--no-{flag[2:]}", help=help, show_default=False)
    return typer.Option(None, flag, metavar=_metavar(field), help=help, show_default=False)


def _type(field: FieldInfo) -> Any:
    return bool | None if field.annotation is bool else str | None


def _metavar(field: FieldInfo) -> str:
    for units, word in QUANTITIES:
        if units in field.metadata:
            return word
    kind = _bare(field.annotation)
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    return {int: "NUMBER", Path: "FILE"}.get(kind, "TEXT")


def _bare(annotation: Any) -> Any:
    """The type itself, without `| None` and `Annotated`."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    members = [member for member in get_args(annotation) if member is not NoneType]
    return _bare(members[0]) if NoneType in get_args(annotation) else annotation


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """One setting as documentation shows it."""

    flag: str
    environment: str
    default: str
    meaning: str


def settings_table() -> list[SettingRow]:
    """Return all settings, in the order of `Settings`."""
    return [
        SettingRow(
            flag=flag_name(name),
            environment=variable_name(name),
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


def settings_listing() -> str:
    """Return the settings as text for a terminal."""
    return tables.listing(
        (row.flag, (row.meaning, f"{row.environment}, default: {row.default}")) for row in settings_table()
    )


def settings_markdown() -> str:
    """Return the settings as a table of Markdown."""
    return tables.markdown(
        ("flag", "environment", "default", "means"),
        (
            (tables.code(row.flag), tables.code(row.environment), tables.code(row.default), row.meaning)
            for row in settings_table()
        ),
    )
