"""Settings from environment variables and files that they name, and messages that name the culprit."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic_core import ErrorDetails

ENV_PREFIX = "IMAGE_PROXY_"

# What Kubernetes puts into every container of a namespace that has a Service named image-proxy.
_SERVICE_LINK = re.compile(r".*_SERVICE_(?:HOST|PORT(?:_\w+)?)|.*_PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_\w+)?")


class InvalidSettings(Exception):
    """The settings do not make a deployment. `problems` are sentences, and hold no secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def variable_name(name: str) -> str:
    """The environment variable of a setting: `IMAGE_PROXY_CACHE`."""
    return ENV_PREFIX + name.upper()


def flag_name(name: str) -> str:
    """The flag of a setting: `--max-age`."""
    return "--" + name.replace("_", "-")


def read_environment(
    environ: Mapping[str, str], names: Collection[str], confidential: Collection[str]
) -> dict[str, str]:
    """
    The text given to each setting by `IMAGE_PROXY_NAME`, or by the file that `IMAGE_PROXY_NAME_FILE` names,
    less a trailing newline. Empty means not given. Raises InvalidSettings for unknown names, files that
    cannot be read, a setting given both ways, and an empty secret, which is a deployment gone wrong.
    """
    given: dict[str, str] = {}
    problems: list[str] = []
    direct = {variable_name(name): name for name in names}
    by_file = {f"{known}_FILE": name for known, name in direct.items()}
    for each, text in environ.items():
        if not each.startswith(ENV_PREFIX) or _is_service_link(each, text):
            continue
        name = direct.get(each) or by_file.get(each)
        if name is None:
            problems.append(_unknown(each, [*direct, *by_file]))
            continue
        if each in by_file and text:
            if environ.get(variable_name(name)):
                problems.append(f"{variable_name(name)} and {each} are both set; unset one")
            try:
                text = Path(text).read_text().rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not text"
                problems.append(f"{each}: {text!r} cannot be read: {reason}")
                continue
        if text:
            given[name] = text
        elif name in confidential:
            problems.append(f"{each} is empty; unset it to have none")
    if problems:
        raise InvalidSettings(problems)
    return given


def _is_service_link(each: str, text: str) -> bool:
    by_value = each.endswith("_PORT") and text.startswith(("tcp://", "udp://", "sctp://"))
    return by_value or _SERVICE_LINK.fullmatch(each) is not None


def _unknown(each: str, known: list[str]) -> str:
    bare = {name.removeprefix(ENV_PREFIX): name for name in known}
    near = difflib.get_close_matches(each.removeprefix(ENV_PREFIX).upper(), bare, n=1)
    return f"no setting {each!r}" + (f"; did you mean {bare[near[0]]!r}?" if near else "")


def problem_of(error: ErrorDetails, given: Mapping[str, object], confidential: Collection[str]) -> str:
    """
    Describe an error of pydantic in a sentence that names the flag, if it was `given` as one, or the
    variable.
    """
    own = error.get("ctx", {}).get("error")
    if not error["loc"]:
        return str(own)
    name = str(error["loc"][0])
    where = flag_name(name) if name in given else variable_name(name)
    if own is not None:
        return f"{where}: {own}"
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"{where}: {message}" + ("" if name in confidential else f", not {error['input']!r}")
