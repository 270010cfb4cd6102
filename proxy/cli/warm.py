"""The command `warm`: what it is told, and what it says."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.cli.libvips import require_libvips
from proxy.cli.refused import Refused
from proxy.clients.address import scheme_of, split_tiers
from proxy.config.environment import variable_name
from proxy.config.settings import load_settings

if TYPE_CHECKING:
    from proxy.app.warming import Tally

STOPPED = 128 + signal.SIGINT
"""The exit code that shells know Ctrl-C by."""

REPORTED = 30.0
"""Seconds between two lines in a log."""


def warm_command(
    options: Annotated[list[str], typer.Argument(metavar="OPTIONS...", help="As in URLs: w_300,f_auto")],
    keys: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="One key a line, '-': stdin; else all of folders and buckets."),
    ] = None,
    at_once: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Renditions at a time; else two a renderer.")
    ] = None,
) -> None:
    """
    Make renditions before anybody asks for them.

    \b
    image-proxy warm p_card p_hero
    image-proxy warm w_400,f_auto w_800,f_auto --keys keys.txt
    find * -name '*.jpg' | image-proxy warm p_thumb --keys -

    Origin, caches and presets are those of the environment, as `serve` reads them. What is there already is
    left alone, so a run that was stopped is taken up by starting it again. Machines with a Redis in common
    share the work of the same command.
    """
    stopped = True
    with suppress(KeyboardInterrupt):
        tally = _warmed(options, keys, at_once)
        for reason in tally.reasons:
            typer.echo(reason, err=True)
        typer.echo(
            f"renditions: made {tally.made}, made elsewhere {tally.elsewhere}, there already {tally.there}, "
            f"failed {tally.failed}"
        )
        stopped = tally.stopped
    if stopped:
        typer.echo("stopped before the end: the same command goes on from here", err=True)
        raise typer.Exit(STOPPED)
    raise typer.Exit(1 if tally.failed else 0)


def _warmed(options: list[str], keys: str | None, at_once: int | None) -> Tally:
    settings = load_settings()
    refuse_unshared(settings.cache)
    require_libvips()
    from proxy.app import pictures, warming  # imports the web, which no other command needs
    from proxy.telemetry import logs

    logs.configure(settings.log_format, "warning")
    work = warming.Warming(settings, options)
    try:
        wanted = list(dict.fromkeys(pictures.list_pictures(settings) if keys is None else read_keys(keys)))
        with progress(work.renditions_of(len(wanted))) as done:
            return work.run(wanted, at_once=at_once or 2 * settings.renderers, done=done)
    except (ValueError, OSError) as error:
        raise Refused(str(error)) from error


def refuse_unshared(cache: str) -> None:
    """Raise Refused where what is made would end with this process: without a cache, or with memory alone."""
    if {scheme_of(tier.strip()) for tier in split_tiers(cache)} <= {"memory", ""}:
        raise Refused(
            f"{variable_name('cache')} is {cache or 'none'!r}, which no server shares: what is made would be "
            "lost. Set it as for the server, to a disk:///path, a redis://host or a bucket that both use"
        )


def read_keys(file: str) -> Iterator[str]:
    lines = sys.stdin if file == "-" else Path(file).read_text().splitlines()
    return (key for line in lines if (key := line.rstrip("\r\n")))


@contextmanager
def progress(steps: int, every: float = REPORTED) -> Iterator[Callable[[], None]]:
    """A bar for people at a terminal, and for a log now and then a line."""
    if not sys.stderr.isatty():
        yield report(steps, every)
        return
    with typer.progressbar(length=steps, file=sys.stderr, label="warming") as bar:
        yield lambda: bar.update(1)


def report(steps: int, every: float) -> Callable[[], None]:
    count, told = 0, time.monotonic()

    def done() -> None:
        nonlocal count, told
        count += 1
        if time.monotonic() - told >= every:
            told = time.monotonic()
            typer.echo(f"warming: {count} of {steps}", err=True)

    return done
