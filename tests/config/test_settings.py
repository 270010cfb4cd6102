"""A deployment starts as it was told to, or says everything that is wrong with what it was told."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli.flags import settings_table
from proxy.config.environment import InvalidSettings, read_environment
from proxy.config.settings import CONFIDENTIAL, Settings, load_settings
from proxy.config.units import BYTES, PIXELS, SECONDS, Units
from proxy.model.limits import Limits
from proxy.url.signing import Secret

LONG = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("IMAGE_PROXY_"):
            monkeypatch.delenv(name)


def problems(**flags: object) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(**flags)
    return caught.value.problems


def environment(environ: dict[str, str]) -> dict[str, str]:
    return read_environment(environ, Settings.model_fields, CONFIDENTIAL)


def environment_problems(environ: dict[str, str]) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        environment(environ)
    return caught.value.problems


def test_nothing_has_to_be_set() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.origin) == ("127.0.0.1", 8000, "./originals")
    assert settings.unsigned == "allow"
    assert settings.warnings == []
    assert settings.renderers >= 1


def test_a_flag_wins_over_the_environment_and_that_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_PROXY_PORT", "9001")
    assert load_settings().port == 9001
    assert load_settings(port=9002).port == 9002


def test_a_flag_that_was_not_given_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_PROXY_PORT", "9001")
    assert load_settings(port=None).port == 9001


def test_an_empty_variable_counts_as_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files pass on what they were not given as empty text."""
    monkeypatch.setenv("IMAGE_PROXY_PORT", "")
    assert load_settings().port == 8000


def test_limits_are_the_same_by_default_and_follow_the_settings() -> None:
    assert load_settings().limits == Limits()
    limits = load_settings(
        max_source_bytes="1MB", max_source_side=7, max_frames=1, render_timeout="500"
    ).limits
    assert limits == Limits(max_source_bytes=1_000_000, max_source_side=7, max_frames=1, render_timeout=500)


def test_settings_cannot_be_changed_and_can_be_sent_to_another_process() -> None:
    settings = load_settings(secrets=LONG)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1
    assert pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize(
    "name, written, read",
    [
        ("max_source_bytes", "50MB", 50_000_000),
        ("max_source_bytes", "50000000", 50_000_000),
        ("max_source_bytes", "1.5 kb", 1500),
        ("render_memory", "2GiB", 2 * 2**30),
        ("max_source_pixels", "12.5mp", 12_500_000),
        ("max_age", "0", 0),
        ("max_age", "10", 10),
        ("max_age", "1d", 86_400),
        ("stale_if_error", "2w", 1_209_600),
        ("fetch_timeout", "1.5s", 1.5),
        ("fetch_timeout", "2m", 120.0),
        ("log_level", "WARNING", "warning"),
        ("private_networks", "true", True),
        ("server_timing", "off", False),
        ("presets", "/etc/presets.yaml", Path("/etc/presets.yaml")),
        ("allow_origin", "https://www.example.com", "https://www.example.com"),
        ("mount", "/_ipx/", "/_ipx"),
        ("mount", "a/b", "/a/b"),
        ("mount", "/", ""),
        ("remote_hosts", "A.example.com, .b.example,", ("a.example.com", ".b.example")),
        ("remote_hosts", "a.example:8443,[2001:DB8::1]:81", ("a.example:8443", "[2001:db8::1]:81")),
        ("metrics_port", "9090", 9090),
    ],
)
def test_what_may_be_written(name: str, written: str, read: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"IMAGE_PROXY_{name.upper()}", written)
    assert getattr(load_settings(), name) == read


@pytest.mark.parametrize(
    "name, written, words",
    [
        ("port", "abc", ["valid integer", "'abc'"]),
        ("port", "65536", ["less than or equal to 65535", "'65536'"]),
        ("workers", "0", ["greater than or equal to 1", "'0'"]),
        ("unsigned", "never", ["'deny', 'presets', 'listed' or 'allow'", "'never'"]),
        ("private_networks", "perhaps", ["valid boolean", "'perhaps'"]),
        ("max_source_bytes", "50X", ["'50MB'", "'50X'"]),
        ("max_source_bytes", "-1", ["'50MB'", "'-1'"]),
        ("max_source_bytes", "0", ["greater than or equal to 1"]),
        ("max_source_bytes", "٣MB", ["'50MB'", "'٣MB'"]),
        ("max_source_bytes", "0.5B", ["valid integer", "0.5"]),
        ("max_source_pixels", "50MB", ["'50MP'", "'50MB'"]),
        ("render_timeout", "0", ["greater than 0"]),
        ("render_timeout", "nan", ["'10s'", "'nan'"]),
        ("max_age", "1 year", ["'1d'", "'1 year'"]),
        ("max_age", "9999w", ["less than 2147483648"]),
        ("allow_origin", "https://a.example/", ["'https://www.example.com'", "'https://a.example/'"]),
        ("mount", "/a b", ["'/_ipx'", "'/a b'"]),
        ("mount", "/../x", ["'/_ipx'", "'/../x'"]),
        ("remote_hosts", "https://a.example", ["'a.example.com'", "'https://a.example'"]),
        ("remote_hosts", "*", ["'a.example.com'", "'*'"]),
        ("log_format", "xml", ["'human' or 'json'", "'xml'"]),
    ],
)
def test_a_refusal_names_the_variable_what_was_given_and_what_is_allowed(
    name: str, written: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"IMAGE_PROXY_{name.upper()}", written)
    (problem,) = problems()
    assert problem.startswith(f"IMAGE_PROXY_{name.upper()}: ")
    assert [word for word in words if word not in problem] == []


def test_a_refused_flag_is_named_as_a_flag() -> None:
    assert problems(max_age="long") == [
        "--max-age: takes a time such as '10s', '5m', '12h', '1d' or '1w', not 'long'"
    ]


def test_all_problems_are_told_at_once() -> None:
    told = problems(port="abc", max_age="long", secrets="changeme")
    assert [problem.split(":")[0] for problem in told] == ["--port", "--secrets", "--max-age"]


@pytest.mark.parametrize("units", [BYTES, PIXELS, SECONDS])
@given(number=st.integers(0, 10**14))
def test_a_quantity_reads_as_it_is_written(units: Units, number: int) -> None:
    assert units.parse(units.format(number)) == number


# The environment


@pytest.mark.parametrize(
    "misspelt, meant",
    [
        ("IMAGE_PROXY_ORIGN", "IMAGE_PROXY_ORIGIN"),
        ("IMAGE_PROXY_SECRET", "IMAGE_PROXY_SECRETS"),
        ("IMAGE_PROXY_MAX_SOURCE_BYTE", "IMAGE_PROXY_MAX_SOURCE_BYTES"),
        ("IMAGE_PROXY_SECRETS_FIEL", "IMAGE_PROXY_SECRETS_FILE"),
        ("IMAGE_PROXY_port", "IMAGE_PROXY_PORT"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_nearest_name(misspelt: str, meant: str) -> None:
    assert environment_problems({misspelt: "x"}) == [f"no setting {misspelt!r}; did you mean {meant!r}?"]


def test_an_unknown_variable_without_a_near_name_is_refused() -> None:
    assert environment_problems({"IMAGE_PROXY_WIDHT": "300"}) == ["no setting 'IMAGE_PROXY_WIDHT'"]


def test_other_programs_variables_are_none_of_our_business() -> None:
    assert environment({"PATH": "/bin", "image_proxy_port": "1", "IMAGE_PROX": "x"}) == {}


def test_what_kubernetes_sets_for_a_service_of_our_name_is_passed_over() -> None:
    """Unless told not to, it gives every pod `IMAGE_PROXY_PORT=tcp://10.0.0.1:80` and more."""
    assert (
        environment(
            {
                "IMAGE_PROXY_PORT": "tcp://10.0.0.1:80",
                "IMAGE_PROXY_PORT_80_TCP": "tcp://10.0.0.1:80",
                "IMAGE_PROXY_PORT_80_TCP_ADDR": "10.0.0.1",
                "IMAGE_PROXY_PORT_80_TCP_PORT": "80",
                "IMAGE_PROXY_PORT_80_TCP_PROTO": "tcp",
                "IMAGE_PROXY_SERVICE_HOST": "10.0.0.1",
                "IMAGE_PROXY_SERVICE_PORT": "80",
                "IMAGE_PROXY_SERVICE_PORT_HTTP": "80",
                "IMAGE_PROXY_METRICS_PORT": "tcp://10.0.0.2:9090",
                "IMAGE_PROXY_METRICS_SERVICE_HOST": "10.0.0.2",
                "IMAGE_PROXY_REDIS_PORT": "tcp://10.0.0.3:6379",
            }
        )
        == {}
    )


def test_a_value_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secrets").write_text(f"id:{LONG}\n")
    monkeypatch.setenv("IMAGE_PROXY_SECRETS_FILE", str(tmp_path / "secrets"))
    assert load_settings().signing_secrets == (Secret(id="id", value=LONG.encode()),)


def test_a_value_given_in_two_ways_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(LONG)
    told = environment_problems(
        {"IMAGE_PROXY_ADMIN_TOKEN": LONG, "IMAGE_PROXY_ADMIN_TOKEN_FILE": str(tmp_path / "token")}
    )
    assert told == ["IMAGE_PROXY_ADMIN_TOKEN and IMAGE_PROXY_ADMIN_TOKEN_FILE are both set; unset one"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    told = environment_problems(
        {
            "IMAGE_PROXY_SECRETS_FILE": str(tmp_path / "missing"),
            "IMAGE_PROXY_ADMIN_TOKEN_FILE": str(tmp_path / "binary"),
        }
    )
    assert told == [
        f"IMAGE_PROXY_SECRETS_FILE: '{tmp_path}/missing' cannot be read: No such file or directory",
        f"IMAGE_PROXY_ADMIN_TOKEN_FILE: '{tmp_path}/binary' cannot be read: it is not text",
    ]


@pytest.mark.parametrize("name", ["IMAGE_PROXY_SECRETS", "IMAGE_PROXY_ADMIN_TOKEN"])
def test_an_empty_secret_is_not_the_absence_of_one(name: str, tmp_path: Path) -> None:
    """A pipeline that lost its secret must not end in an open server."""
    (tmp_path / "empty").write_text("\n")
    assert environment_problems({name: ""}) == [f"{name} is empty; unset it to have none"]
    told = environment_problems({f"{name}_FILE": str(tmp_path / "empty")})
    assert told == [f"{name}_FILE is empty; unset it to have none"]


# Secrets and policies


@pytest.mark.parametrize("name", ["secrets", "admin_token"])
@pytest.mark.parametrize(
    "value",
    ["changeme", "Change-Me", "secret", "password", "your_secret_here", "xxxx", "changeme" * 4, "test-" * 5],
)
def test_a_placeholder_is_refused(name: str, value: str) -> None:
    (problem,) = problems(**{name: value})
    assert "a placeholder protects nothing" in problem


def test_a_short_secret_is_a_warning() -> None:
    settings = load_settings(secrets=f"old:secret-key,{LONG},x1", admin_token="short-one")
    assert settings.warnings == [
        "IMAGE_PROXY_SECRETS: secret old has 10 bytes; give it 32 or more",
        "IMAGE_PROXY_SECRETS: secret 3 has 2 bytes; give it 32 or more",
        "IMAGE_PROXY_ADMIN_TOKEN has 9 bytes; give it 32 or more",
    ]


@pytest.mark.parametrize("value", ["buried,", "id:buried,id:other", "", "id:"])
def test_refused_secrets_are_not_repeated(value: str) -> None:
    (problem,) = problems(secrets=value)
    assert "secret" in problem
    assert "buried" not in problem


@pytest.mark.parametrize("value", ["", "two words", "žeton-žeton", "line\nline"])
def test_a_token_that_no_header_can_carry_is_refused(value: str) -> None:
    (problem,) = problems(admin_token=value)
    assert problem.startswith("--admin-token: takes visible ASCII characters")


def test_a_token_that_also_signs_urls_is_refused() -> None:
    assert problems(secrets=f"id:{LONG}", admin_token=LONG) == [
        "IMAGE_PROXY_ADMIN_TOKEN must not be one of IMAGE_PROXY_SECRETS"
    ]


def test_secrets_are_not_shown() -> None:
    settings = load_settings(
        secrets="hidden-secret",
        admin_token="hidden-token",
        cache="redis://:hidden@host",
        origin="http://user:hidden@host",
    )
    told = [repr(settings), str(settings), repr(settings.signing_secrets), str(settings.warnings)]
    assert "hidden" not in " ".join(told)


def test_with_secrets_unsigned_urls_are_denied() -> None:
    assert load_settings(secrets=LONG).unsigned == "deny"
    assert load_settings(secrets=LONG, host="0.0.0.0").unsigned == "deny"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_secrets_loopback_is_open(host: str) -> None:
    assert load_settings(host=host).unsigned == "allow"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "images.example.com"])
def test_without_secrets_no_other_address_is_served(host: str) -> None:
    (problem,) = problems(host=host)
    assert problem.startswith(f"nothing could be served on {host}")


def test_proxies_in_front_of_loopback_bring_others() -> None:
    (problem,) = problems(trusted_proxies="127.0.0.1")
    assert problem.startswith("nothing could be served on 127.0.0.1")
    assert load_settings(trusted_proxies="127.0.0.1", secrets=LONG).unsigned == "deny"
    assert load_settings(trusted_proxies="127.0.0.1", unsigned="allow").unsigned == "allow"


def test_denying_everything_is_refused() -> None:
    (problem,) = problems(unsigned="deny")
    assert "IMAGE_PROXY_SECRETS" in problem


@pytest.mark.parametrize("secrets", [None, LONG])
def test_an_open_public_server_has_to_be_said_twice(secrets: str | None) -> None:
    (problem,) = problems(host="0.0.0.0", unsigned="allow", secrets=secrets)
    assert "IMAGE_PROXY_UNSIGNED_PUBLIC=true" in problem
    settings = load_settings(host="0.0.0.0", unsigned="allow", unsigned_public=True, secrets=secrets)
    assert settings.warnings == ["anybody who reaches 0.0.0.0 may ask for any rendition"]


@pytest.mark.parametrize("policy", ["presets", "listed"])
def test_bounded_policies_need_no_secret_in_public(policy: str) -> None:
    settings = load_settings(host="0.0.0.0", unsigned=policy)
    assert settings.unsigned == policy
    assert settings.warnings == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_development_is_had_on_loopback(host: str) -> None:
    assert load_settings(dev=True, host=host).dev
    assert not load_settings(host=host).dev


@pytest.mark.parametrize(
    "flags, named",
    [
        ({"host": "0.0.0.0"}, ["the host 0.0.0.0"]),
        ({"host": "::"}, ["the host ::"]),
        ({"host": "192.168.1.1"}, ["the host 192.168.1.1"]),
        ({"host": "images.example.com"}, ["the host images.example.com"]),
        ({"secrets": LONG}, ["IMAGE_PROXY_SECRETS"]),
        ({"trusted_proxies": "10.0.0.0/8"}, ["IMAGE_PROXY_TRUSTED_PROXIES"]),
        ({"secrets": LONG, "host": "0.0.0.0"}, ["the host 0.0.0.0", "IMAGE_PROXY_SECRETS"]),
    ],
    ids=str,
)
def test_development_is_not_had_with_what_others_reach(flags: dict[str, object], named: list[str]) -> None:
    (problem,) = problems(dev=True, unsigned="allow", unsigned_public=True, **flags)
    assert problem.startswith("--dev is for work on this machine alone")
    assert all(name in problem for name in named)


def test_development_is_a_variable_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_PROXY_DEV", "true")
    assert load_settings().dev
    (problem,) = problems(host="0.0.0.0", unsigned="presets")
    assert "the host 0.0.0.0" in problem


def test_two_listeners_need_two_ports() -> None:
    assert problems(port=9090, metrics_port=9090) == [
        "IMAGE_PROXY_METRICS_PORT and IMAGE_PROXY_PORT are both 9090"
    ]
    load_settings(port=0, metrics_port=0)


# Defaults taken from the machine


def test_the_cache_is_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/my cache,1")
    assert load_settings().cache == "memory://256MB,disk:///var/my%20cache%2C1/image-proxy?size=2GB"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/me")
    assert load_settings().cache == "memory://256MB,disk:///home/me/.cache/image-proxy?size=2GB"


def test_without_a_home_the_cache_is_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "nowhere")
    assert load_settings().cache == "memory://256MB"


def test_logs_are_for_machines_when_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    assert load_settings().log_format == "json"


# Documentation


def test_every_setting_is_documented_once() -> None:
    rows = settings_table()
    assert [row.environment for row in rows] == [
        f"IMAGE_PROXY_{name.upper()}" for name in Settings.model_fields
    ]
    assert [row for row in rows if not row.meaning.endswith(".") or not row.default] == []


@pytest.mark.parametrize(
    "flag, default",
    [
        ("--host", "127.0.0.1"),
        ("--renderers", "one a core"),
        ("--secrets", "none"),
        ("--mount", "none"),
        ("--remote-hosts", "none"),
        ("--private-networks", "false"),
        ("--max-source-bytes", "50MB"),
        ("--max-source-pixels", "50MP"),
        ("--render-timeout", "10s"),
        ("--s-maxage", "365d"),
        ("--stale-if-error", "1w"),
        ("--drain-delay", "0s"),
        ("--queue-size", "64"),
    ],
)
def test_defaults_are_shown_as_they_would_be_written(flag: str, default: str) -> None:
    assert {row.flag: row.default for row in settings_table()}[flag] == default


@pytest.mark.parametrize(
    "given", [{"secrets": "s" * 15}, {"secrets": f"{LONG},id:fifteen-bytes-x"}, {"admin_token": "t" * 15}]
)
def test_short_secrets_are_for_this_machine_alone(given: dict[str, str]) -> None:
    given = {"secrets": LONG, **given}
    assert load_settings(**given).warnings
    (problem,) = problems(host="0.0.0.0", **given)
    assert "and on 0.0.0.0 it needs at least 16" in problem
    assert not any(text in problem for text in ("sss", "ttt", "fifteen"))


def test_sixteen_bytes_are_enough_for_a_public_address() -> None:
    assert load_settings(host="0.0.0.0", secrets="s" * 16, admin_token="t" * 16).unsigned == "deny"
