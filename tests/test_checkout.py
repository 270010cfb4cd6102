"""What those who work on this project rely on: Makefile, pre-commit hooks, and where tests lie."""

from __future__ import annotations

import os
import re
import subprocess
from subprocess import PIPE

from ruamel.yaml import YAML

from tests.paths import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()

NOT_ROOMS = {"cdn"}
"""Folders of tests of the whole service, behind what is not ours."""


def test_the_hooks_of_pre_commit_run_what_make_lint_runs() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert recipe
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    (local,) = YAML(typ="safe", pure=True).load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    assert [hook["entry"] for hook in local["hooks"]] == commands
    assert all(hook["language"] == "system" for hook in local["hooks"]), "nothing is downloaded"
    assert not any(hook["pass_filenames"] for hook in local["hooks"]), "all files, as by make"
    assert len({hook["id"] for hook in local["hooks"]}) == len(commands)


def test_make_help_lists_every_target_that_has_a_description_and_each_is_phony() -> None:
    own = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}
    shown = subprocess.run(["make", "help"], cwd=ROOT, env=own, check=True, stdout=PIPE, text=True).stdout
    listed = {line.split()[0] for line in shown.splitlines()}
    assert listed == set(re.findall(r"^([\w.-]+):.*## ", MAKEFILE, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert listed < set(phony[1].split())


def test_tests_lie_in_folders_named_as_those_of_what_they_test() -> None:
    tests, code = (
        {file.parent.relative_to(ROOT / top).as_posix() for file in (ROOT / top).rglob("*.py")}
        for top in ("tests", "proxy")
    )
    assert tests - NOT_ROOMS <= code
    assert {folder for folder in code if "/" not in folder} <= tests, "every room has tests"
