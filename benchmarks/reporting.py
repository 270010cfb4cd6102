"""What the referee measured, as JSON, a Markdown table and plots."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

THEMES = {"light": ("#24292f", "#0969da", "#8c959f"), "dark": ("#e6edf3", "#58a6ff", "#6e7681")}
NOTE = (
    "Medians over rounds; `x` are medians of ratios to `ours` in the same round (above 1: more than ours). "
    "CPU is user and system time of the whole process tree, for a request. Similarity is image-proxy's own "
    "measure, fitted to SSIMULACRA2, against `thumbnail_buffer`'s pixels, left out "
    "where boxes cut off (by a pixel more or less). `bare` is a loop of "
    "`thumbnail_buffer` and a saver without a server; `nginx` serves the same bytes as a file."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One server in one round of one scenario. `rate` is requests a second."""

    rate: float
    cpu_ms: float
    p99_ms: float | None = None
    peak_mb: float | None = None
    bytes: float | None = None
    similarity: float | None = None


@dataclass(kw_only=True)
class Results:
    """Rounds by scenario and server; why servers failed in scenarios, or are absent altogether."""

    machine: dict[str, str | float | int]
    rounds: dict[str, dict[str, list[Round]]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def add(self, scenario: str, server: str, round: Round) -> None:
        self.rounds.setdefault(scenario, {}).setdefault(server, []).append(round)

    def fail(self, scenario: str, server: str, reason: str) -> None:
        self.failures.setdefault(scenario, {})[server] = reason

    def ended(self) -> None:
        self.machine["load at the end"] = os.getloadavg()[0]
        self.machine["date"] = time.strftime("%Y-%m-%d")

    def ratio(self, scenario: str, server: str, value: Callable[[Round], float]) -> float | None:
        """The median of ratios to ours, round by round; None without a pair."""
        ours = self.rounds[scenario].get("ours", [])
        pairs = zip(self.rounds[scenario][server], ours, strict=False)
        ratios = [value(theirs) / value(mine) for theirs, mine in pairs if value(mine)]
        return statistics.median(ratios) if ratios else None


def median(rounds: list[Round], name: str) -> float | None:
    values = [value for each in rounds if (value := getattr(each, name)) is not None]
    return statistics.median(values) if values else None


def shown(value: float | None, digits: int = 1, scale: float = 1.0) -> str:
    return "" if value is None else f"{value * scale:,.{digits}f}"


def rows(results: Results) -> Iterator[str]:
    """The lines of the Markdown table."""
    yield "| scenario | server | requests/s | x | CPU ms | x | p99 ms | kB | similarity | peak PSS MB |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for scenario, servers in results.rounds.items():
        for name, rounds in servers.items():
            cells = [
                scenario, name,
                shown(median(rounds, "rate")),
                shown(results.ratio(scenario, name, lambda each: each.rate), 2),
                shown(median(rounds, "cpu_ms"), 3 if (median(rounds, "cpu_ms") or 0) < 1 else 1),
                shown(results.ratio(scenario, name, lambda each: each.cpu_ms), 2),
                shown(median(rounds, "p99_ms")),
                shown(median(rounds, "bytes"), scale=1e-3),
                shown(median(rounds, "similarity")),
                shown(median(rounds, "peak_mb"), 0),
            ]  # fmt: skip
            yield f"| {' | '.join(cells)} |"


def markdown(results: Results) -> str:
    """The whole report, with the machine and what is missing."""
    described = ", ".join(f"{name} {shown_fact(value)}" for name, value in results.machine.items())
    counts = sorted({len(rounds) for each in results.rounds.values() for rounds in each.values()})
    lines = ["# Measured side by side", "", NOTE, "", f"Machine: {described}. Rounds: {counts}.", ""]
    lines += rows(results)
    missing = [f"- {name}: {reason}" for name, reason in results.absent.items()]
    missing += [
        f"- {server} in {scenario}: {reason}"
        for scenario, each in results.failures.items() for server, reason in each.items()
    ]  # fmt: skip
    if missing:
        lines += ["", "Left out:", "", *missing]
    return "\n".join(lines) + "\n"


def shown_fact(value: str | float) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def plot(results: Results, title: str, value: Callable[[Round], float], theme: str) -> str:
    """Bars of ratios to ours for every scenario and server, cut off at 3, as SVG."""
    text, own, other = THEMES[theme]
    bars = [
        (scenario, server, ratio)
        for scenario, servers in results.rounds.items()
        for server in servers
        if server != "ours" and (ratio := results.ratio(scenario, server, value)) is not None
    ]
    height = 60 + 18 * len(bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" font-family="sans-serif" '
        f'font-size="11" fill="{text}">',
        f'<text x="10" y="20" font-size="14">{escape(title)}</text>',
        f'<path d="M460 30V{height - 12}" stroke="{own}"/><text x="464" y="40" fill="{own}">ours</text>',
    ]
    for number, (scenario, server, ratio) in enumerate(bars):
        y = 50 + 18 * number
        width = min(ratio, 3.0) * 100
        parts.append(
            f'<text x="350" y="{y + 10}" text-anchor="end">{escape(f"{scenario} · {server}")}</text>'
        )
        parts.append(f'<rect x="360" y="{y}" width="{width:.1f}" height="12" fill="{other}"/>')
        parts.append(f'<text x="{364 + width:.1f}" y="{y + 10}">{ratio:.2f}</text>')
    return "\n".join([*parts, "</svg>", ""])


def write(results: Results, folder: Path) -> str:
    """Write report.json, report.md and plots into `folder`; return the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(asdict(results), indent=1) + "\n")
    for theme in THEMES:
        rate = plot(results, "Requests a second, ours = 1", lambda each: each.rate, theme)
        (folder / f"rate-{theme}.svg").write_text(rate)
        cpu = plot(results, "CPU of a request, ours = 1", lambda each: each.cpu_ms, theme)
        (folder / f"cpu-{theme}.svg").write_text(cpu)
    text = markdown(results)
    (folder / "report.md").write_text(text)
    return text
