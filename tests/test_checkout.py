"""What those who work on this project rely on: Makefile, pre-commit hooks, and where tests lie."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from subprocess import PIPE

import pytest
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


@pytest.mark.parametrize(
    "words, environ, development",
    [
        ([], {}, True),
        (["HOST=127.0.0.1"], {}, True),
        (["HOST=127.1.2.3"], {}, True),
        (["HOST=localhost"], {}, True),
        (["HOST=::1", "PORT=1"], {}, True),
        (["ARGS=--host ::1 --workers 2"], {}, True),
        ([], {"IMAGE_PROXY_HOST": "127.0.0.1", "IMAGE_PROXY_ADMIN_TOKEN": "x"}, True),
        ([], {"HOST": "build-machine"}, True),
        (["HOST=127.0.0.1"], {"IMAGE_PROXY_HOST": "0.0.0.0"}, True),
        (["HOST=0.0.0.0"], {}, False),
        (["HOST=::"], {}, False),
        (["HOST=192.168.1.2"], {}, False),
        (["HOST=images.example"], {}, False),
        (["ARGS=--host 0.0.0.0"], {}, False),
        (["ARGS=--host=0.0.0.0"], {}, False),
        (["HOST=127.0.0.1", "ARGS=--host 0.0.0.0"], {}, False),
        (["ARGS=--secrets kittens"], {}, False),
        (["ARGS=--secrets=kittens"], {}, False),
        (["ARGS=--workers 2 --trusted-proxies 10.0.0.0/8"], {}, False),
        (["ARGS=--no-dev"], {}, False),
        ([], {"IMAGE_PROXY_HOST": "0.0.0.0"}, False),
        ([], {"IMAGE_PROXY_SECRETS": "kittens"}, False),
        ([], {"IMAGE_PROXY_SECRETS_FILE": "/run/secrets/kittens"}, False),
        ([], {"IMAGE_PROXY_TRUSTED_PROXIES": "10.0.0.1"}, False),
        ([], {"IMAGE_PROXY_DEV": "false"}, False),
    ],
    ids=str,
)
def test_make_run_is_development_unless_something_says_that_others_come(
    words: list[str], environ: dict[str, str], development: bool, tmp_path: Path
) -> None:
    program = tmp_path / "image-proxy"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    own = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("MAKE", "IMAGE_PROXY_")) and name not in ("HOST", "PORT", "ORIGIN", "ARGS")
    }
    ran = subprocess.run(
        ["make", "-s", "-f", "-", "run", f"BIN={tmp_path}", *words],
        input=re.sub(r"^run: install", "run:", MAKEFILE, flags=re.MULTILINE),
        cwd=ROOT, env=own | environ, check=True, stdout=PIPE, text=True,
    ).stdout.split()  # fmt: skip
    assert ran[0] == "serve"
    assert ("--dev" in ran) == development
    given = " ".join(word.removeprefix("ARGS=") for word in words if word.startswith("ARGS="))
    assert " ".join(ran).endswith(given)


def test_each_step_of_an_installation_says_what_it_is_at() -> None:
    recipe = re.search(r"^\$\(VENV\)/\.installed:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert recipe
    lines = [line.strip() for line in recipe[1].splitlines()]
    steps = [place for place, line in enumerate(lines) if line.startswith("@$(call pip,")]
    assert len(steps) == 3
    for number, place in enumerate(steps, start=1):
        assert f"{number} of {len(steps)}: " in lines[place - 1]
        assert lines[place - 1].startswith("@echo ")
