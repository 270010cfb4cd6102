"""The scripts that fit constants run, and `--check` tells when a constant is off."""

from __future__ import annotations

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks import fit_cost, fit_quality_curves, fit_similarity, pods, referee, servers
from benchmarks.fit_quality_curves import Fitted, bytes_at, chroma_shares, deviations, median_curve, worst
from benchmarks.processes import cpu_seconds, pss
from benchmarks.reporting import Results, Round, markdown
from benchmarks.scenarios import SCENARIOS, Kind
from proxy.model.media import Format
from proxy.pipeline.encode import cost
from proxy.pipeline.encode.quality_curves import SIMILARITY_CURVES
from proxy.pipeline.encode.savers import savable

Output = pytest.CaptureFixture[str]

STUB = """#!/bin/sh
[ "$1" = image ] && [ -s "$2" ] && echo "Score: $(($(wc -c < "$3") % 70 + 25)).5"
"""


def test_curves_of_all_formats_that_are_written_here_are_measured(capsys: Output) -> None:
    assert fit_quality_curves.main(["--quick"]) == 0
    said = capsys.readouterr().out
    assert all(f"{format.name}: ((1, " in said for format in SIMILARITY_CURVES if format in savable())


def test_curves_that_hold_are_no_failure(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setattr(fit_quality_curves, "TOLERANCE", 100.0)
    assert fit_quality_curves.main(["--quick", "--check"]) == 0
    assert not capsys.readouterr().err


def test_a_curve_that_is_off_is_a_failure_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    wrong = Fitted(name="WRONG", format=Format.JPEG, curve=((30, 90.0), (80, 50.0)))
    known = [each for each in fit_quality_curves.FITTED if each.format is Format.JPEG]
    monkeypatch.setattr(fit_quality_curves, "TOLERANCE", 25.0)
    monkeypatch.setattr(fit_quality_curves, "FITTED", (*known, wrong))
    assert fit_quality_curves.main(["--quick", "--check"]) == 1
    assert capsys.readouterr().err == "off by more than 25.0 points: WRONG\n"


def test_a_curve_is_the_median_of_the_pictures() -> None:
    samples = [[(40.0, 9), (60.04, 9)], [(-20.0, 9), (70.06, 9)], [(-10.0, 9), (90.0, 9)]]
    assert median_curve(((1, 0.0), (50, 50.0)), samples) == ((1, 0.0), (50, 70.1))


def test_a_curve_is_checked_where_targets_lie() -> None:
    off = deviations(((1, 0.0), (50, 60.0), (99, 95.0)), ((1, 30.0), (50, 62.5), (99, 99.0)))
    assert off == {50: -2.5}
    assert worst(off) == 2.5
    assert worst({}) == 0.0


def test_bytes_between_two_qualities_grow_by_a_factor() -> None:
    assert bytes_at([(60.0, 100), (70.0, 400)], 65.0) == pytest.approx(200)
    assert bytes_at([(60.0, 100), (70.0, 400)], 75.0) is None


def test_full_chroma_is_compared_at_the_same_similarity() -> None:
    shares = chroma_shares([[(60.0, 100), (80.0, 400)]], [[(60.0, 50), (80.0, 200)]])
    assert shares == pytest.approx(dict.fromkeys(range(66, 80, 2), 0.5))


def test_fitting_similarity_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setenv("PATH", "")
    assert fit_similarity.main(["--quick"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("no ssimulacra2_rs on the PATH: cargo install ssimulacra2_rs@")
    assert said.count("\n") == 1


def test_similarity_is_fitted_to_what_the_program_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Output
) -> None:
    program = tmp_path / fit_similarity.PROGRAM
    program.write_text(STUB)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert fit_similarity.main(["--quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("27 encodings of 1 pictures")
    assert lines[1].startswith("committed: WEIGHTS = (32.91, 38.98,")
    assert lines[3].startswith("fitted: WEIGHTS = (")


def test_constants_that_made_the_scores_are_found_again() -> None:
    random = np.random.default_rng(1)
    losses = random.uniform(0.0, 1.0, (200, 6)) / fit_similarity.COMMITTED.weights
    true = fit_similarity.Constants(fit_similarity.COMMITTED.weights * [2, 0.5, 1, 3, 0.4, 1], 0.7)
    found = fit_similarity.refitted(losses, true.similarities(losses))
    assert found.power == pytest.approx(true.power, rel=1e-3)
    assert found.weights == pytest.approx(true.weights, rel=1e-2)


def test_ranks_that_agree_correlate() -> None:
    assert fit_similarity.spearman(np.array([1.0, 2, 30]), np.array([5.0, 6, 7])) == pytest.approx(1)
    assert fit_similarity.spearman(np.array([1.0, 2, 30]), np.array([7.0, 6, 5])) == pytest.approx(-1)


def test_every_timing_of_a_format_that_is_written_here_is_measured() -> None:
    named = [row.name for row in fit_cost.rows()]
    assert len(named) == len(set(named))
    timed = {*cost.SECONDS_PER_MEGAPIXEL, Format.AVIF} & savable()
    assert {name.split(",")[0].split(":")[0] for name in named} == {str(format) for format in timed}


def test_timings_are_ratios_to_one_encoding(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    some = [row for row in fit_cost.rows() if row.name in ("webp, effort 2", "avif, effort 1")]
    monkeypatch.setattr(fit_cost, "rows", lambda: iter(some))
    assert fit_cost.main(["--quick"]) == 0
    said = capsys.readouterr().out
    assert "webp, effort 2" in said
    assert "encodings to fit bytes" in said


def test_a_timing_that_is_off_is_a_failure_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    wrong = fit_cost.Row("wrong", 100.0, fit_cost.reference)
    monkeypatch.setattr(fit_cost, "rows", lambda: iter([wrong]))
    assert fit_cost.main(["--quick", "--check"]) == 1
    assert capsys.readouterr().err == "off by more than 2.5 times: wrong\n"


def test_what_is_quick_anyway_is_not_checked() -> None:
    assert not fit_cost.is_off(fit_cost.Row("png", 0.01, fit_cost.reference), 0.04)
    assert fit_cost.is_off(fit_cost.Row("png", 0.11, fit_cost.reference), 0.04)


def test_the_referee_measures_and_writes_its_report(tmp_path: Path, capsys: Output) -> None:
    assert referee.main(["--quick", "--alone", "--only", "300x200 jpeg", "--report", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "report.json").read_text())
    assert not found["failures"]
    assert {"ours", "bare"} == set(found["rounds"]["12 MP 4:3 to 300x200 jpeg"])
    assert "ours" in found["rounds"]["304 of 300x200 jpeg"]
    assert "| 12 MP 3:2 to 300x200 jpeg | ours | " in (tmp_path / "report.md").read_text()
    for plot in ("rate-light", "rate-dark", "cpu-light", "cpu-dark"):
        assert ElementTree.parse(tmp_path / f"{plot}.svg").getroot().tag.endswith("svg")


def test_ratios_are_of_the_same_round() -> None:
    results = Results(machine={})
    for ours, theirs in ((10.0, 5.0), (40.0, 80.0), (4.0, 4.0)):
        results.add("cold", "ours", Round(rate=ours, cpu_ms=1))
        results.add("cold", "peer", Round(rate=theirs, cpu_ms=2))
    assert results.ratio("cold", "peer", lambda each: each.rate) == 1.0
    assert "| cold | peer | 5.0 | 1.00 | 2.0 | 2.00 |" in markdown(results)


def test_a_server_that_is_not_here_is_left_out() -> None:
    for entry in servers.entries(servers.ROOT / "benchmarks" / "peers.toml"):
        assert entry.missing({"tools": "/nowhere"}) or entry.name.startswith("ours")


def test_scenarios_have_names_of_their_own_and_every_kind() -> None:
    assert len({each.name for each in SCENARIOS}) == len(SCENARIOS)
    assert {each.kind for each in SCENARIOS} == set(Kind)


def test_what_a_process_costs_is_seen() -> None:
    assert cpu_seconds(os.getpid()) > 0
    assert pss(os.getpid()) > 10_000_000


def test_nothing_of_peers_names_a_registry() -> None:
    folder = servers.ROOT / "benchmarks" / "peers"
    assert all("://" not in line for line in (folder / "thumbor.lock").read_text().splitlines())
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    fetched = [each for name, each in packages.items() if name and not each.get("inBundle")]
    assert fetched
    assert all("integrity" in each and "resolved" not in each for each in fetched)


def test_pods_with_consistent_hashing_fetch_less() -> None:
    known = {"photos": 400, "widths": 6, "requests": 8_000, "pods": 10}
    alone = pods.simulate(pods.Fleet(**known, by_original=False))
    hashed = pods.simulate(pods.Fleet(**known, by_original=True))
    assert hashed.fetches < alone.fetches
    assert sum(alone.answered.values()) == sum(hashed.answered.values()) == 8_000
