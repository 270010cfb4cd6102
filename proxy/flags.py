"""The settings as flags of `serve`, and on paper: nothing about one is written twice."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from proxy import tables
from proxy.settings import Settings, settings_table
from proxy.units import BYTES, PIXELS, SECONDS, Units

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


def settings_listing() -> str:
    return tables.listing(
        (row.flag, (row.meaning, f"{row.environment}, default: {row.default}")) for row in settings_table()
    )


def settings_markdown() -> str:
    return tables.markdown(
        ("flag", "environment", "default", "means"),
        (
            (tables.code(row.flag), tables.code(row.environment), tables.code(row.default), row.meaning)
            for row in settings_table()
        ),
    )
