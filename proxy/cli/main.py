"""The command line: each command reads its arguments, calls one function, and prints what that returns."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

import typer
from typer.core import TyperGroup

from proxy import __version__
from proxy.cli import flags, tables
from proxy.cli.explain import explain_options, explain_plan, read_size
from proxy.cli.fonts import font_warnings
from proxy.cli.libvips import pyvips_and_libvips, require_libvips
from proxy.cli.purge import purge_command
from proxy.cli.refused import Refused
from proxy.cli.urls import sign_command, url_command
from proxy.cli.warm import warm_command
from proxy.config.deployment import deployed_presets, deployed_sources
from proxy.config.environment import InvalidSettings
from proxy.config.origins_file import InvalidSources
from proxy.config.presets import LIFETIME_KIND, PRESET_FIELDS, InvalidPresets, Preset, load_presets
from proxy.config.settings import load_settings
from proxy.config.units import SECONDS
from proxy.fonts.letters import font_coverage
from proxy.geometry.plan import plan
from proxy.model.errors import InvalidRequest, ProxyError
from proxy.model.media import FORMATS
from proxy.options import catalogue
from proxy.url.grammar import canonical_text, format_options, parse_options, resolve_options
from proxy.url.path import info_prefix_of, split_path


class Commands(TyperGroup):
    """A group of commands that turns errors into sentences on stderr and the exit code 2."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer's own name for it
        try:
            return super().invoke(ctx)
        except (ProxyError, InvalidSettings, InvalidPresets, InvalidSources, Refused) as error:
            for line in str(error).splitlines():
                typer.echo(f"image-proxy: {line}", err=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    name="image-proxy",
    cls=Commands,
    help="A self-hosted image transformation proxy: a URL becomes a picture.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110},
)
presets_app = typer.Typer(no_args_is_help=True, help="Check and list the presets.")
app.add_typer(presets_app, name="presets")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"image-proxy {__version__}")
        raise typer.Exit


@app.callback()
def options_of_the_program(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    app(prog_name="image-proxy")


@app.command("serve")
@flags.takes_settings
def serve_command(**given: Any) -> None:
    """
    Serve until SIGTERM or Ctrl-C.

    Each flag has a variable of the same meaning, and wins over it. IMAGE_PROXY_NAME_FILE reads a setting
    from a file, which is how secrets should come. Times are written 10s, 5m, 12h, 1d or 1w, sizes 50MB.
    """
    settings = load_settings(**given)
    require_libvips()
    if "origin" not in settings.model_fields_set and settings.origins is None:
        draw_samples(Path(settings.origin))
    for warning in settings.warnings:
        typer.echo(f"warning: {warning}", err=True)
    from proxy.app.serve import serve_deployment  # imports the web, which no other command needs

    try:
        code = serve_deployment(settings)
    except (ValueError, OSError) as error:
        raise Refused(str(error)) from error
    raise typer.Exit(code)


def draw_samples(folder: Path) -> None:
    """Draw sample images to begin with, in a process of its own: one that has run libvips must not fork."""
    if folder.exists():
        return
    typer.echo(f"no {folder}: drawing sample pictures there", err=True)
    drawing = subprocess.run(  # noqa: S603  # nothing in it comes from anybody else
        [sys.executable, "-m", "proxy.samples", str(folder)], capture_output=True, text=True, check=False
    )
    if drawing.returncode:
        reason = drawing.stderr.strip().rpartition("\n")[2]
        raise Refused(f"no samples could be drawn ({reason}); name a folder of pictures with --origin")


app.command("sign")(sign_command)
app.command("url")(url_command)
app.command("warm")(warm_command)


AsJson = Annotated[bool, typer.Option("--json", help="As JSON, like /-/options.json.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="As a table of Markdown.")]


@app.command("options")
def options_command(as_json: AsJson = False, as_markdown: AsMarkdown = False) -> None:
    """List the options that a URL may carry."""
    if as_json and as_markdown:
        raise Refused("--json and --markdown cannot both be")
    if as_json:
        typer.echo(json.dumps(catalogue.options_table(), indent=2, ensure_ascii=False))
    else:
        typer.echo(tables.options_markdown() if as_markdown else tables.options_listing())


@app.command("settings")
def settings_command(as_markdown: AsMarkdown = False) -> None:
    """List the settings: flags of `serve`, variables, defaults."""
    typer.echo(flags.settings_markdown() if as_markdown else flags.settings_listing())


@app.command("explain")
def explain_command(
    options: Annotated[
        str, typer.Argument(metavar="OPTIONS", help="As in a URL, s_300x200,f_auto; or a path, or a URL.")
    ],
    source: Annotated[
        str | None,
        typer.Option(metavar="WIDTHxHEIGHT", help="And what they do to a picture of this size, in px."),
    ] = None,
) -> None:
    """
    Say what the options of a URL mean.

    \b
    image-proxy explain s_300x200,g_west --source 4000x3000
    """
    settings = load_settings()
    presets = deployed_presets(settings)
    meant = meant_by(options, settings.mount)
    try:
        options = options_in(options, settings.mount)
        spec = parse_options(options, presets.options, presets.defaults, presets.layers)
    except InvalidRequest as error:
        if meant is None:
            raise
        raise Refused(f"{error}; did you mean {meant}?") from error
    parts = [f"canonical: {canonical_text(spec)}"]
    if became := [
        (item, (what,))
        for item, what in explain_options(options, presets.options, presets.defaults, presets.layers)
    ]:
        parts.append(tables.listing(became))
    if source is not None:
        size = read_size(source)
        most = FORMATS[spec.fixed_format].max_side if spec.fixed_format else None
        steps = explain_plan(spec, plan(spec, size, settings.limits, most), size)
        parts.append(tables.listing((step, (what,)) for step, what in steps))
    if meant is not None:
        parts.append(f"did you mean {meant}?")
    typer.echo("\n\n".join(parts))


def options_in(text: str, mount: str) -> str:
    """The options of a path or of a whole URL; options themselves as they are. Raises InvalidRequest."""
    if "/" not in text:
        return text
    url, below = _split_url(text, mount)
    return split_path(url.path.encode(), url.query.encode(), mount, below).options


def meant_by(text: str, mount: str) -> str | None:
    """The path that the author of a path or a URL probably meant, where it is another one."""
    from proxy.requests.correction import corrected_path  # its room knows of Redis

    url, below = _split_url(text, mount)
    found = corrected_path(url.path.removeprefix(mount), url.query, below) if "/" in text else None
    return None if found is None else mount + found


def _split_url(text: str, mount: str) -> tuple[SplitResult, str]:
    """With what stands before its options."""
    is_path_or_url = text.startswith(("/", "http://", "https://"))
    url = urlsplit(text if is_path_or_url else f"/{text}")
    return url, info_prefix_of(url.path.removeprefix(mount))


@presets_app.command("check")
def check_command(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The presets of `serve` when not given.")
    ] = None,
) -> None:
    """
    Check a presets file.

    Prints how many presets it has, or where it is wrong; and warns of fonts that are not installed here, and
    of letters that no font has. A picture that it names and that its folder does not have is an error: the
    exit code is 1.
    """
    settings = load_settings()
    file = file or settings.presets
    presets = load_presets(file)
    count = len(presets.presets)
    typer.echo(f"{file}: {count} preset{'' if count == 1 else 's'}")
    for warning in font_warnings(presets, font_coverage()):
        typer.echo(f"warning: {warning}", err=True)
    if not file.stat().st_size:
        typer.echo(
            "warning: it is empty: a server that runs refuses that and goes on with the presets it has, and "
            "one that starts has none",
            err=True,
        )
    from proxy.cli.references import missing_pictures  # which loads what speaks to origins

    if missing := list(missing_pictures(presets, deployed_sources(settings))):
        for each in missing:
            typer.echo(f"{file}: {each}", err=True)
        raise typer.Exit(1)


@presets_app.command("list")
def list_command() -> None:
    """List the presets and what they stand for."""
    presets = deployed_presets(load_settings())
    meanings = {
        name: resolve_options(each.options, defaults=presets.defaults, overlays=presets.layers)
        for name, each in presets.presets.items()
    }
    if meanings:
        typer.echo(
            tables.listing(
                (name, (format_options(spec), *_beside_options(presets.presets[name])))
                for name, spec in meanings.items()
            )
        )


def _beside_options(preset: Preset) -> Iterator[str]:
    """What else a preset says, as its file would."""
    for name in PRESET_FIELDS:
        value = getattr(preset, name)
        if name != "options" and value is not None:
            yield f"{name}: {SECONDS.format(value) if PRESET_FIELDS[name] is LIFETIME_KIND else value}"
    if preset.responsive is not None:
        yield f"responsive: {preset.responsive}"


@app.command("version")
def version_command() -> None:
    """Print the versions of image-proxy, Python, pyvips and libvips."""
    pyvips, libvips = pyvips_and_libvips() or ("none", "cannot be loaded")
    for name, each in (
        ("image-proxy", __version__),
        ("Python", platform.python_version()),
        ("pyvips", pyvips),
        ("libvips", libvips),
    ):
        typer.echo(f"{name} {each}")


app.command("purge")(purge_command)
