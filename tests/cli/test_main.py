"""What people and scripts type, and what they get: one answer on stdout, or one sentence and exit code 2."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner, Result

from proxy import __version__
from proxy.cli.flags import settings_table
from proxy.cli.main import app
from proxy.cli.refused import Refused
from proxy.cli.urls import expiry
from proxy.config.settings import load_settings
from proxy.options.catalogue import options_table
from proxy.url.path import split_path
from proxy.url.signing import sign, verify
from tests.paths import ROOT

SECRET = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
PRESETS = """
defaults: "q_80"
presets:
  thumb: "w_150,h_150,f_auto"
  card:
    options: "w_400,ar_4:3"
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder to work in, and nothing set."""
    for name in os.environ:
        if name.startswith("IMAGE_PROXY_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("IMAGE_PROXY_SECRETS", f"new:{SECRET},old:{OTHER}")
    return SECRET


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments], prog_name="image-proxy")


def printed(*arguments: str) -> str:
    """The whole of stdout, of a command that succeeds and complains about nothing."""
    result = invoke(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.removesuffix("\n")


def refused(*arguments: str) -> str:
    """The one sentence on stderr, of a command that is refused and prints nothing else."""
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.fullmatch(r"image-proxy: .*\n", result.stderr), result.stderr
    return result.stderr.removeprefix("image-proxy: ").rstrip("\n")


@contextmanager
def process(*arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """image-proxy as a shell starts it, in the folder that the test works in."""
    root = str(ROOT)
    with subprocess.Popen(
        [sys.executable, "-c", "from proxy.cli import main; main()", *arguments],
        env=os.environ | {"PYTHONPATH": root, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            if started.poll() is None:
                started.kill()


def refused_process(*arguments: str) -> str:
    """As `refused`, in a process of its own: what serves sets up its whole process."""
    with process(*arguments) as started:
        printed, sentence = started.communicate(timeout=60)
    assert (started.returncode, printed) == (2, "")
    assert re.fullmatch(r"image-proxy: .*\n", sentence), sentence
    return sentence.removeprefix("image-proxy: ").rstrip("\n")


def test_a_path_is_signed_with_the_first_secret(secret: str) -> None:
    path = "/w_300,h_200/cats/tom.jpg"
    assert printed("sign", path) == f"/s--{sign(secret, path.encode())}--{path}"


def test_a_signature_may_go_into_the_query(secret: str) -> None:
    path = "/w_300/cats/tom.jpg"
    assert printed("sign", path, "--query") == f"{path}?s={sign(secret, path.encode())}"


def test_what_is_said_about_a_picture_is_signed_too(secret: str) -> None:
    path = "/-/info/w_300/cats/tom.jpg"
    assert printed("sign", path) == f"/s--{sign(secret, path.encode())}--{path}"
    ending = printed("sign", path, "--exp", "4102444800").rpartition("--")[2]
    assert ending == "/-/info/w_300,exp_4102444800/cats/tom.jpg"
    assert "no option 'w300'" in refused("sign", "/-/info/w300/cats/tom.jpg")


def test_a_base_makes_a_whole_url_with_the_mount(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mount is no part of what is signed."""
    monkeypatch.setenv("IMAGE_PROXY_MOUNT", "/_ipx")
    path = "/w_300/cats/tom.jpg"
    signed = f"/_ipx/s--{sign(secret, path.encode())}--{path}"
    assert (
        printed("sign", path, "--base", "https://images.example.com/")
        == f"https://images.example.com{signed}"
    )
    assert printed("sign", path) == signed
    assert printed("sign", f"/_ipx{path}") == signed


def test_what_is_signed_is_what_the_server_verifies(secret: str) -> None:
    raw, query = printed("sign", "/f_webp/a%20b%2Bc.jpg", "--query").split("?")
    address = split_path(raw.encode(), query.encode())
    verify(load_settings().signing_secrets, address.signed, address.signature)


def test_a_url_that_ends_says_so_in_its_options(secret: str) -> None:
    options = split_path(printed("sign", "/w_300/tom.jpg", "--exp", "1h").encode()).options
    assert options.startswith("w_300,exp_")
    assert 3590 < int(options.rpartition("_")[2]) - time.time() <= 3601
    assert "/exp_4102444800/" in printed("sign", "/_/tom.jpg", "--exp", "4102444800")


def test_signing_without_a_secret_says_how_to_have_one() -> None:
    message = refused("sign", "/w_300/tom.jpg")
    assert "IMAGE_PROXY_SECRETS" in message
    assert "IMAGE_PROXY_SECRETS_FILE" in message


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("secret").write_text(SECRET + "\n")
    monkeypatch.setenv("IMAGE_PROXY_SECRETS_FILE", "secret")
    assert sign(SECRET, b"/w_300/tom.jpg") in printed("sign", "/w_300/tom.jpg")


@pytest.mark.parametrize(
    "path, message",
    [
        ("/wdth_300/tom.jpg", "no option 'wdth'; did you mean 'width'?"),
        ("/w_0/tom.jpg", "'w' takes a whole number from 1 to 8192"),
        ("/w_300", "no key"),
        ("/w_300/../tom.jpg", "no '.' and no '..'"),
        ("/w_300,exp_1/tom.jpg", "disagree"),
        ("w_300/tom.jpg", "starts with '/'"),
        ("/w_300/tom katz.jpg", "' ' is sent as '%20'"),
        ("/w_300/tom.jpg?v=2", "'?' is sent as '%3F'"),
        ("/w_300/100%.jpg", "'%' is sent as '%25'"),
        ("/w_300/käse.jpg", "'ä' is sent as '%C3%A4'"),
        ("/s--Tpv9JubyHyvNNKEUMi35Zk--/w_300/tom.jpg", "has a signature already"),
    ],
)
@pytest.mark.usefixtures("secret")
def test_a_path_that_could_not_be_served_is_not_signed(path: str, message: str) -> None:
    assert message in refused("sign", path, "--exp", "1h")


@pytest.mark.usefixtures("secret")
def test_no_secret_is_ever_printed() -> None:
    for arguments in (("sign", "/w_300/tom.jpg"), ("sign", "/x"), ("serve", "--port", "x"), ("settings",)):
        result = invoke(*arguments)
        assert SECRET not in result.output
        assert OTHER not in result.output


@pytest.mark.parametrize("exp", ["soon", "-5", "1y", ""])
@pytest.mark.usefixtures("secret")
def test_an_expiry_is_a_time(exp: str) -> None:
    assert f"--exp takes a time such as '10s', '5m', '12h', '1d' or '1w', not {exp!r}" == refused(
        "sign", "/w_300/tom.jpg", "--exp", exp
    )


def test_an_expiry_counts_from_now_or_since_1970() -> None:
    assert expiry("60", 5e9) == 5_000_000_060
    assert expiry("0.5", 5e9) == 5_000_000_001
    assert expiry("6000000000", 5e9) == 6_000_000_000


@pytest.mark.parametrize("exp", ["0", "4000000000"])
def test_an_expiry_is_in_the_future(exp: str) -> None:
    with pytest.raises(Refused, match="not in the future"):
        expiry(exp, 5e9)


def test_an_expiry_that_no_url_can_carry_is_refused() -> None:
    assert "'exp' takes a whole number" in refused("url", "w_300", "tom.jpg", "--exp", "100000000000")


@pytest.mark.parametrize(
    "base",
    ["images.example.com", "ftp://a.example", "https://", "https://a.example?x=1", "https://a b", "https://a:x",
     "https://[", "https://a.example/#top"],
)  # fmt: skip
def test_a_base_is_where_a_path_can_follow(base: str) -> None:
    assert "a base is a URL such as" in refused("url", "w_300", "tom.jpg", "--base", base)


def test_invalid_settings_are_named_one_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_PROXY_PORT", "x")
    monkeypatch.setenv("IMAGE_PROXY_MOUNT", "a b")
    lines = invoke("sign", "/w_300/tom.jpg").stderr.splitlines()
    assert [line.split(":")[1] for line in lines] == [" IMAGE_PROXY_PORT", " IMAGE_PROXY_MOUNT"]


def test_a_url_is_unsigned_where_nothing_signs() -> None:
    assert printed("url", "w_300,h_200", "cats/tom.jpg") == "/w_300,h_200/cats/tom.jpg"


def test_a_url_is_signed_where_there_are_secrets(secret: str) -> None:
    path = "/w_300/cats/tom.jpg"
    assert printed("url", "w_300", "cats/tom.jpg", "--base", "http://localhost:8000") == (
        f"http://localhost:8000/s--{sign(secret, path.encode())}--{path}"
    )


@pytest.mark.parametrize(
    "key, encoded",
    [
        ("cats/tom & jerry.jpg", "cats/tom%20%26%20jerry.jpg"),
        ("käse+brot.jpg", "k%C3%A4se%2Bbrot.jpg"),
        ("100%25.jpg", "100%2525.jpg"),
        ("https://shop.example/a.jpg?v=2#top", "https://shop.example/a.jpg%3Fv%3D2%23top"),
    ],
)
def test_a_key_is_plain_and_comes_encoded(key: str, encoded: str) -> None:
    raw = printed("url", "w_300", key)
    assert raw == f"/w_300/{encoded}"
    assert split_path(raw.encode()).key == key


def test_options_keep_what_is_encoded_and_encode_the_rest() -> None:
    assert printed("url", "fn_a%20b,v_50%,b_#f00", "a.jpg") == "/fn_a%20b,v_50%25,b_%23f00/a.jpg"


@pytest.mark.parametrize(
    "options, key, message",
    [
        ("blurr_3", "a.jpg", "did you mean 'blur'?"),
        ("", "a.jpg", "'_' stands for none"),
        ("w_300", "", "no key"),
        ("w_300", "/a.jpg", "no empty segments"),
        ("w_300", "a\nb.jpg", "no control characters"),
        ("w_300", "a\udcff.jpg", "not UTF-8"),
        ("w_300", "a" * 9000, "at most 8192 bytes"),
    ],
)
def test_a_url_that_could_not_be_served_is_not_printed(options: str, key: str, message: str) -> None:
    assert message in refused("url", options, key)


def test_presets_are_checked_where_their_file_is_at_hand() -> None:
    """URLs are written on other machines too."""
    assert printed("url", "p_thumbs", "a.jpg") == "/p_thumbs/a.jpg"
    Path("presets.yaml").write_text(PRESETS)
    assert "no preset 'thumbs'; did you mean 'thumb'?" in refused("url", "p_thumbs", "a.jpg")
    assert printed("url", "p_thumb", "a.jpg") == "/p_thumb/a.jpg"


def test_the_catalogue_is_json_as_it_is() -> None:
    assert json.loads(printed("options", "--json")) == options_table()


def test_options_are_listed_with_what_they_take() -> None:
    text = printed("options")
    for row in options_table():
        assert f"{', '.join(row['names'])} " in text
        assert f"Example: {row['example']}" in text
    assert max(map(len, text.splitlines())) <= 100


def test_options_are_a_markdown_table() -> None:
    header, rule, *rows = printed("options", "--markdown").splitlines()
    assert header == "| option | takes | means | example |"
    assert rule == "| --- | --- | --- | --- |"
    assert len(rows) == len(options_table())
    assert rows[0].startswith("| `width` `w` | a whole number from 1 to 8192")


def test_json_and_markdown_cannot_both_be() -> None:
    assert refused("options", "--json", "--markdown") == "--json and --markdown cannot both be"


def test_settings_are_listed_and_a_markdown_table() -> None:
    listing, markdown = printed("settings"), printed("settings", "--markdown")
    assert len(markdown.splitlines()) == 2 + len(settings_table())
    for row in settings_table():
        assert f"{row.environment}, default: {row.default}" in " ".join(listing.split())
        assert f"| `{row.flag}` | `{row.environment}` | `{row.default}` | {row.meaning} |" in markdown


def test_explain_prints_the_canonical_options_and_what_each_became() -> None:
    assert printed("explain", "h_200&w_300,f_jpg").splitlines() == [
        "canonical: width_300,height_200,format_jpeg",
        "",
        "h_200  height_200",
        "w_300  width_300",
        "f_jpg  format_jpeg",
    ]
    assert printed("explain", "_") == "canonical: _"


def test_explain_prints_what_happens_to_a_picture() -> None:
    assert printed("explain", "w_300,h_200", "--source", "4000x3000").splitlines()[-4:] == [
        "source  4000x3000, upright",
        "scale   to 300x225",
        "crop    300x200 at 0,13",
        "result  300x200",
    ]


@pytest.mark.parametrize("source", ["4000", "4000x", "0x3", "4000x3000x2", "-1x5", "1e3x5", "٣x٣"])
def test_a_source_is_width_and_height(source: str) -> None:
    assert refused("explain", "w_300", f"--source={source}") == (
        f"--source takes WIDTHxHEIGHT in px such as 4000x3000, not {source!r}"
    )


@pytest.mark.parametrize(
    "options, message",
    [
        ("w_8000,h_8000,enlarge", "the picture would be"),
        ("w_300,f_webp", "sides of 'f_webp' have at most 16383 px"),
        ("blurr", "did you mean 'blur'?"),
        ("p_thumb", "no preset 'thumb'"),
    ],
)
def test_what_cannot_be_made_is_refused_by_explain_too(options: str, message: str) -> None:
    arguments = {"w_300,f_webp": "1x90000"}
    assert message in refused("explain", options, "--source", arguments.get(options, "4000x3000"))


def test_presets_are_counted() -> None:
    Path("presets.yaml").write_text(PRESETS)
    assert printed("presets", "check") == "presets.yaml: 2 presets"
    Path("other.yaml").write_text("presets: {one: w_300}")
    assert printed("presets", "check", "other.yaml") == "other.yaml: 1 preset"


FONTS = """
defaults: "text-font_No Such Font"
presets:
  one: "w_300,text_Hi􏿽,tf_DejaVu Sans Bold"
  two: "w_300,text_Hi,tf_dejavusans Extra-Light Italic"
overlays:
  three: {text: "􏿼 a　b􏿽", font: "DejaVu Sans Sans"}
  four: {text: "ok", font: "sans-serif bold"}
"""


def test_presets_check_warns_of_fonts_and_letters_that_are_missing() -> None:
    Path("presets.yaml").write_text(FONTS)
    done = invoke("presets", "check")
    assert (done.exit_code, done.stdout) == (0, "presets.yaml: 2 presets\n")
    assert done.stderr.splitlines() == [
        "warning: defaults: no font 'No Such Font' is installed here; letters come from others",
        "warning: preset one: no font has U+10FFFD of its text; they are left out",
        "warning: overlay three: no font 'DejaVu Sans Sans' is installed here; letters come from others",
        "warning: overlay three: no font has U+10FFFC U+10FFFD of its text; they are left out",
    ]


def test_the_place_of_a_mistake_in_presets_is_told() -> None:
    Path("presets.yaml").write_text("presets:\n  thumb: 'wdth_300'\n")
    message = refused("presets", "check")
    assert message.startswith("presets.yaml:2:10: ")
    assert "did you mean 'width'?" in message
    assert (
        refused("explain", "w_300") == refused("presets", "list") == refused("url", "w_300", "a") == message
    )


def test_presets_that_are_not_there_cannot_be_checked() -> None:
    assert refused("presets", "check") == "presets.yaml: cannot be read: No such file or directory"
    assert refused("presets", "check", ".").startswith(".: cannot be read")


def test_presets_are_listed_as_what_they_stand_for() -> None:
    Path("presets.yaml").write_text(PRESETS)
    assert printed("presets", "list").splitlines() == [
        "thumb  width_150,height_150,format_auto,quality_80",
        "card   width_400,height_300,quality_80",
    ]


def test_all_of_a_preset_is_listed() -> None:
    Path("presets.yaml").write_text(
        """
presets:
  press:
    {options: "w_300,fn_a.jpg,dl", max_age: 3600, s_maxage: 30d, stale_while_revalidate: 90,
     stale_if_error: 0, on_error: brand/gone.png, on_error_status: 200}
"""
    )
    listed = printed("presets", "list").splitlines()
    assert [line.split()[-2:] for line in listed[1:]] == [
        ["max_age:", "1h"], ["s_maxage:", "30d"],
        ["stale_while_revalidate:", "90s"], ["stale_if_error:", "0s"],
        ["on_error:", "brand/gone.png"], ["on_error_status:", "200"],
    ]  # fmt: skip
    assert all(each in listed[0] for each in ("press  ", "width_300", "fn_a.jpg", "dl"))


def test_no_presets_are_an_empty_list() -> None:
    assert printed("presets", "list") == ""


def test_presets_that_were_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_PROXY_PRESETS", "mine.yaml")
    assert refused("presets", "list") == "mine.yaml: cannot be read: No such file or directory"


def test_versions_are_those_that_run() -> None:
    lines = dict(line.split(" ", 1) for line in printed("version").splitlines())
    assert list(lines) == ["image-proxy", "Python", "pyvips", "libvips"]
    assert lines["image-proxy"] == __version__
    assert re.fullmatch(r"8\.\d+\.\d+", lines["libvips"])


@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "sign",
        "url",
        "options",
        "settings",
        "explain",
        "presets",
        "presets check",
        "presets list",
        "version",
    ],
)
def test_each_command_has_help(command: str) -> None:
    text = printed(*command.split(), "--help")
    assert text.startswith(f"Usage: image-proxy {command}")
    assert printed(*command.split(), "-h") == text


def test_help_names_every_command() -> None:
    listed = re.findall(r"^  (\w+)  ", printed("--help").partition("Commands:")[2], re.MULTILINE)
    commands = [
        "serve",
        "sign",
        "url",
        "warm",
        "options",
        "settings",
        "explain",
        "version",
        "purge",
        "presets",
    ]
    assert listed == commands


def test_every_setting_is_a_flag_with_its_meaning_and_default() -> None:
    words = " ".join(printed("serve", "--help").replace("-\n", "-").split())
    for row in settings_table():
        assert f"{row.flag} " in words
        told = " ".join(f"{row.meaning} [{row.environment}; default: {row.default}]".split())
        assert re.sub(r"-\s", "-", told) in re.sub(r"-\s", "-", words)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["serv"], "Did you mean 'serve'?"),
        (["serve", "--prt", "1"], "--port"),
        (["serve", "--port"], "requires an argument"),
        (["sign"], "Missing argument"),
        (["url", "w_300"], "Missing argument"),
        (["explain", "w_300", "extra"], "unexpected extra argument"),
        ([], "Usage: image-proxy"),
    ],
)
def test_wrong_usage_is_told_without_a_traceback(arguments: list[str], message: str) -> None:
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments, problems",
    [
        (["--port", "x"], ["--port: input should be a valid integer"]),
        (["--max-source-bytes", "5 elephants"], ["--max-source-bytes: takes a size such as '50MB'"]),
        (["--log-level", "loud"], ["--log-level: input should be 'debug', 'info', 'warning' or 'error'"]),
        (["--mount", "a b", "--workers", "0"], ["--workers: ", "--mount: "]),
        (["--host", "0.0.0.0"], ["nothing could be served on 0.0.0.0"]),
        (["--secrets", ""], ["--secrets: secret 1 is empty"]),
    ],
)
def test_every_mistake_in_flags_is_named_and_nothing_is_drawn(
    arguments: list[str], problems: list[str]
) -> None:
    result = invoke("serve", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    lines = [line.removeprefix("image-proxy: ") for line in result.stderr.splitlines()]
    assert len(lines) == len(problems)
    assert all(line.startswith(problem) for line, problem in zip(lines, problems, strict=True))
    assert not Path("originals").exists()


def test_a_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_PROXY_PORT", "1")
    assert "--port: " in invoke("serve", "--port", "x").stderr


@pytest.mark.parametrize("origin", ["./originals", "file:///nowhere/at/all"])
def test_an_origin_that_was_named_must_be_there(origin: str) -> None:
    """Even when it is spelled like the default one: what somebody named is never made up."""
    folder = origin.removeprefix("file://")
    message = refused_process("serve", "--port", "0", "--origin", origin)
    assert message.startswith(f"the origin '{folder}' is not a folder")
    assert not Path("originals").exists()


def test_samples_that_cannot_be_drawn_are_one_sentence() -> None:
    Path("originals").symlink_to("/dev/null/nowhere")
    result = invoke("serve", "--port", "0")
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].endswith("name a folder of pictures with --origin")


def test_an_address_that_is_taken_is_one_sentence() -> None:
    Path("originals").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "Address already in use" in refused_process("serve", "--port", str(taken.getsockname()[1]))


@pytest.mark.slow
def test_the_first_run_draws_samples_serves_them_and_stops_when_asked() -> None:
    with process("serve", "--port", "0", "--renderers", "1", "--cache", "none") as server:
        assert server.stdout is not None
        lines = [server.stdout.readline() for _ in range(4)]
        address = ready(lines[0])
        for line in lines[1:]:
            with urlopen(line.strip(), timeout=20) as answer:
                assert answer.headers["content-type"].startswith("image/")
        with pytest.raises(HTTPError) as caught:
            urlopen(f"{address}/blurr_3/mountains.jpg", timeout=20)
        caught.value.close()
        assert caught.value.code == 400
        server.send_signal(signal.SIGTERM)
        rest, errors = server.communicate(timeout=20)
    assert (server.returncode, rest) == (0, "")
    assert errors.startswith("no originals: drawing sample pictures there\n")
    assert "Traceback" not in errors


def test_a_short_secret_is_warned_of() -> None:
    Path("originals").mkdir()
    with process("serve", "--port", "0", "--renderers", "1", "--secrets", "kittens") as server:
        assert server.stdout is not None
        assert ready(server.stdout.readline())
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=20)
    assert server.returncode == 0
    assert "warning: IMAGE_PROXY_SECRETS: secret 1 has 7 bytes; give it 32 or more\n" in errors


def ready(announced: str) -> str:
    """The address that a server printed, once it serves there."""
    found = re.fullmatch(r"image-proxy listens on (http://127\.0\.0\.1:\d+)\n", announced)
    assert found is not None, announced
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with urlopen(f"{found[1]}/readyz", timeout=20):
                return found[1]
        except OSError:  # not accepted yet, or a 503
            time.sleep(0.05)
    raise AssertionError("never ready")


def test_a_script_gets_the_url_and_nothing_else() -> None:
    with process("url", "w_300", "cats/tom.jpg", IMAGE_PROXY_SECRETS="kittens") as script:
        assert script.communicate(timeout=20) == (
            f"/s--{sign('kittens', b'/w_300/cats/tom.jpg')}--/w_300/cats/tom.jpg\n",
            "",
        )
    assert script.returncode == 0


def test_a_reader_that_went_away_is_no_traceback() -> None:
    with process("options", "--json") as script:
        assert script.stdout is not None
        script.stdout.close()
        assert script.stderr is not None
        assert script.stderr.read() == ""


def test_no_command_but_serve_loads_the_web_or_libvips() -> None:
    """They start at once, and may start processes: what has run libvips must not fork."""
    code = (
        "import sys; from proxy.cli.main import app; app(['version'], standalone_mode=False); "
        "print({'pyvips', 'starlette', 'uvicorn', 'httpx', 'redis'} & sys.modules.keys())"
    )
    root = str(ROOT)
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert ran.stdout.splitlines()[-1] == "set()"


def test_a_server_that_runs_is_told_to_forget() -> None:
    Path("originals").mkdir()
    token = {"IMAGE_PROXY_ADMIN_TOKEN": "a-token-of-more-than-thirty-two-bytes"}
    with process("serve", "--port", "0", "--renderers", "1", "--cache", "none", **token) as server:
        assert server.stdout is not None
        address = ready(server.stdout.readline())
        answers: dict[str, str] = {}
        no_token: dict[str, str] = {}
        for name, environ in (("known", token), ("unknown", no_token)):
            with process("purge", "tom.jpg", "--prefix", "a/", "--server", address, **environ) as purging:
                answers[name] = "".join(purging.communicate(timeout=60)).strip()
    assert answers["known"] == "purged: 1 key, 1 prefix"
    assert answers["unknown"] == f"image-proxy: {address} answers 401: an admin token is needed"


def test_a_purge_of_nothing_and_one_that_nobody_hears_are_told() -> None:
    assert "name something to purge" in refused("purge")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        nowhere = f"http://127.0.0.1:{probe.getsockname()[1]}"
    assert f"no answer from {nowhere}" in refused("purge", "a", "--server", nowhere)


ORIGINS = 'origins:\n  shop:\n    url: https://x.example/\n    headers:\n      Authorization: "{}"\n'


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--render-memory", "50MB"], "--render-memory: input should be greater than or equal to 256000000"),
        (["--cache", "memory//1MB"], "IMAGE_PROXY_CACHE: a cache is written as scheme://place"),
        (
            ["--cache", "disk:///proc/no?size=1MB"],
            "IMAGE_PROXY_CACHE: the folder '/proc/no' cannot be written",
        ),
        (
            ["--originals-cache", "disk:///proc/no"],
            "IMAGE_PROXY_ORIGINALS_CACHE: the folder '/proc/no' cannot",
        ),
        (["--originals-cache", "redis://h"], "IMAGE_PROXY_ORIGINALS_CACHE: a cache of originals is one of"),
    ],
)
def test_what_an_operator_can_cause_is_one_sentence_that_names_the_setting(
    arguments: list[str], message: str
) -> None:
    Path("originals").mkdir()
    assert refused_process("serve", "--port", "0", "--origin", "originals", *arguments).startswith(message)


@pytest.mark.parametrize(
    "reference, message",
    [
        ("env:NOT_SET_HERE", "the variable NOT_SET_HERE is not set"),
        ("file:/not/there", "the file /not/there cannot be read: No such file or directory"),
        ("file:empty", "the file empty is empty"),
    ],
)
def test_a_reference_that_leads_to_nothing_is_named(reference: str, message: str) -> None:
    Path("empty").touch()
    Path("origins.yaml").write_text(ORIGINS.format(reference))
    said = refused_process("serve", "--port", "0", "--origins", "origins.yaml")
    assert said == f"origins.yaml:5:22: 'Authorization': {message}"


def test_the_version_is_an_option_too() -> None:
    assert printed("--version") == f"image-proxy {__version__}"


def test_the_package_is_the_command() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "proxy", "--version"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.communicate(timeout=60)[0] == f"image-proxy {__version__}\n"


@pytest.mark.parametrize(
    "url",
    [
        "w_300,h_200",
        "/w_300,h_200/cats/tom.jpg",
        "w_300,h_200/cats/tom.jpg",
        "w:300,h:200/cats/tom.jpg",
        "/s--Zk3x_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM--/w_300,h_200/cats/tom.jpg",
        "/-/info/w_300,h_200/cats/tom.jpg",
        "/s--Zk3x_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM--/-/info/w_300,h_200/cats/tom.jpg",
        "https://images.example.com/w_300,h_200/cats/tom.jpg?s=Zk3x_abcdefghijklmnopqrstuvwxyz",
    ],
)
def test_explain_takes_options_a_path_or_a_url(url: str) -> None:
    assert printed("explain", url).startswith("canonical: width_300,height_200\n")


@pytest.mark.parametrize(
    "url, meant",
    [
        ("w_300/e_sepia/cats/tom.jpg", "/w_300,e_sepia/cats/tom.jpg"),
        ("https://images.example.com/w_300/e_sepia/cats/tom.jpg", "/w_300,e_sepia/cats/tom.jpg"),
        ("/w_300/v1712/cats/tom.jpg", "/w_300/cats/tom.jpg"),
    ],
)
def test_explain_says_what_a_path_was_probably_meant_to_be(url: str, meant: str) -> None:
    assert printed("explain", url).endswith(f"\n\ndid you mean {meant}?")


@pytest.mark.parametrize(
    "url, meant",
    [
        ("/cats/tom.jpg", "/_/cats/tom.jpg"),
        ("cats/tom.jpg?w=300", "/w=300/cats/tom.jpg"),
        ("https://example.com/_next/image?url=%2Fcats%2Ftom.jpg&w=640&q=75", "/w_640,q_75/cats/tom.jpg"),
    ],
)
def test_explain_says_with_an_error_what_was_probably_meant(url: str, meant: str) -> None:
    assert refused("explain", url).endswith(f"; did you mean {meant}?")


def test_shells_complete_commands() -> None:
    with process(
        _IMAGE_PROXY_COMPLETE="complete_bash", COMP_WORDS="image-proxy ex", COMP_CWORD="1"
    ) as started:
        assert "explain" in started.communicate(timeout=60)[0]
