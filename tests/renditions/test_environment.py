"""Names in caches and ETags: whatever changes bytes changes them, and nothing else does."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from proxy.caches.memory import MemoryCache
from proxy.caches.tiers import TieredCache
from proxy.config.settings import Settings
from proxy.fonts.files import OWN_FONTS_FILE
from proxy.model.errors import ProxyError
from proxy.model.freshness import Lifetimes
from proxy.model.limits import REFUSING_LIMITS, SHAPING_LIMITS, Limits
from proxy.model.media import Format, Rendition
from proxy.model.negotiation import bucket
from proxy.pipeline.render import render
from proxy.renderers.client import RendererClient
from proxy.renderers.state import current_fingerprint
from proxy.renderers.supervisor import Supervisor
from proxy.renditions.request import RenditionRequest, identity, rendering_environment, rendition_request
from proxy.url.grammar import parse_options
from tests.caches.clocks import Clock
from tests.origins.server import Server, reply, until
from tests.pictures import animation, photo, saved
from tests.renditions.conftest import Open

LIFETIMES = Lifetimes()
TOM = saved(photo(64, 48), Format.PNG)
PHOTO = saved(photo(400, 300), Format.PNG)
MOVING = saved(animation(40, 30, (255, 0, 0), (0, 255, 0), (0, 0, 255)), Format.GIF)
JPEG = saved(photo(400, 300), Format.JPEG)
WEB = "image/avif,image/webp"

EXAMPLES: dict[str, tuple[bytes, str, object]] = {
    "max_source_pixels": (MOVING, "w_20", 3000),
    "max_source_side": (photo(2000, 20).pngsave_buffer(), "w_50,h_200,c_fill,g_attention", 2000),
    "max_frames": (MOVING, "w_20", 2),
    "max_result_pixels": (MOVING, "w_20", 1000),
    "max_result_side": (PHOTO, "w_300", 200),
    "avif_budget": (PHOTO, "f_auto", 0.0),
    "show_damaged": (JPEG[: len(JPEG) * 2 // 3], "w_100", True),
}
"""An original, options, and another value of the limit, which makes another rendition of the two."""

OTHERS: dict[str, object] = {"max_source_bytes": 1_000_000, "formats": ("png", "gif"), "render_timeout": 60.0}

NOT_IN_PIXELS = frozenset(  # one a word, so that a new one is one word
    """
    host port workers renderers origin origins remote_hosts private_networks cache originals_cache
    originals_max_age secrets unsigned unsigned_public presets allow_origin mount admin_token metrics_port
    render_memory fetch_timeout queue_size queue_bytes max_age s_maxage stale_while_revalidate stale_if_error
    head_timeout idle_timeout slow_timeout min_rate max_sending_bytes purge_lease drain_delay drain_timeout
    dev fast_lane server_timing log_format log_level trusted_proxies render_rate
    """.split()  # noqa: SIM905
)
"""Settings that change no byte of a rendition, or (origins, presets) are in its name as what they come to."""

AS_LIMITS = {"damaged": "show_damaged"}


def request(options: str = "w_20", accept: str | None = None) -> RenditionRequest:
    return rendition_request(parse_options(options), "tom.png", bucket(accept), LIFETIMES)


def made(body: bytes, options: str, limits: Limits) -> object:
    try:
        return render(body, parse_options(options), limits, bucket(WEB)).body
    except ProxyError as error:
        return error.code


def test_every_limit_is_known_to_change_bytes_or_not() -> None:
    """A new one fails here until it is in one of the two lists, and in the examples of this file."""
    assert {each.name for each in fields(Limits)} == {*SHAPING_LIMITS, *REFUSING_LIMITS}
    assert not {*SHAPING_LIMITS} & {*REFUSING_LIMITS}
    assert {*EXAMPLES} == {*SHAPING_LIMITS}
    assert {*OTHERS} == {*REFUSING_LIMITS}


def test_every_setting_is_known_to_change_bytes_or_not() -> None:
    """A new one fails here until it is said to be a limit, or to leave renditions as they are."""
    limits = {AS_LIMITS.get(name, name) for name in Settings.model_fields.keys() - NOT_IN_PIXELS}
    assert limits == {each.name for each in fields(Limits)} - {"formats"}  # of each origin's own
    assert Settings.model_fields.keys() >= NOT_IN_PIXELS


@pytest.mark.parametrize("name", SHAPING_LIMITS)
def test_a_limit_that_shapes_pictures_is_in_names_and_etags(name: str) -> None:
    body, options, other = EXAMPLES[name]
    changed: dict[str, Any] = {name: other}
    assert made(body, options, replace(Limits(), **changed)) != made(body, options, Limits())
    usual = rendering_environment(Limits(), "")
    limited = rendering_environment(replace(Limits(), **changed), "")
    assert limited != usual
    assert identity(request(), "png", "1", limited) != identity(request(), "png", "1", usual)


@pytest.mark.parametrize("name", REFUSING_LIMITS)
def test_a_limit_that_refuses_is_in_neither(name: str) -> None:
    changed: dict[str, Any] = {name: OTHERS[name]}
    limits = replace(Limits(), **changed)
    for body, options in ((PHOTO, "w_300"), (MOVING, "w_20"), (PHOTO, "f_auto")):
        assert made(body, options, limits) == made(body, options, Limits())
    assert rendering_environment(limits, "") == rendering_environment(Limits(), "")


def test_what_renderers_work_with_is_in_names_and_etags() -> None:
    assert rendering_environment(Limits(), "a") != rendering_environment(Limits(), "b")


def test_etags_tell_what_was_chosen_among_other_formats_and_what_describes_a_picture() -> None:
    both, webp = request("f_auto", WEB), request("f_auto", "image/webp")
    described = replace(request("f_auto", WEB), task="describe")
    assert len({identity(each, "webp", "1", "") for each in (both, webp, described)}) == 3
    plain = request("w_20", WEB), request("w_20", "image/webp")
    assert len({identity(each, "png", "1", "") for each in plain}) == 1


async def test_processes_with_other_limits_share_a_cache_and_never_mix(
    open_renditions: Open, server: Server
) -> None:
    server.put("/tom.png", reply(TOM, etag='"1"'))
    usual, small = open_renditions(), open_renditions(limits=Limits(max_result_side=10))
    first, second = await usual.get(request()), await small.get(request())
    assert (first.rendition.width, second.rendition.width) == (20, 10)
    assert (first.hit, second.hit) == (False, False)
    assert first.rendition.etag != second.rendition.etag
    for process, mine in ((usual, first), (small, second)):
        again = await process.get(request())
        assert (again.hit, again.rendition) == (True, mine.rendition)


class RecordingCache(MemoryCache[Rendition]):
    """Remembers all that was stored, by its name."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(10**7, clock=clock)
        self.stored: list[tuple[str, Rendition]] = []

    async def put(self, name: str, value: Rendition, lifetime: float) -> None:
        if lifetime > 0:
            self.stored.append((name, value))
        await super().put(name, value, lifetime)


@pytest.fixture
def fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of fonts that renderers, whatever users they are, read from now on, with one in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copy(OWN_FONTS_FILE.with_name("DejaVuSans.ttf"), folder)
        conf = folder / "fonts.conf"
        conf.write_text(f"<fontconfig><dir>{folder}</dir></fontconfig>")
        monkeypatch.setenv("FONTCONFIG_FILE", str(conf))
        yield folder


async def test_fonts_that_come_while_renderers_run_never_mix_with_those_before(
    open_renditions: Open, server: Server, clock: Clock, fonts: Path
) -> None:
    """As in an installation that is changed under its processes: some renderers have seen it, others not."""
    server.put("/tom.png", reply(TOM, etag='"1"'))
    cache = RecordingCache(clock)
    with Supervisor(renderers=2) as supervisor:
        before = current_fingerprint(supervisor.socket_path)
        assert re.fullmatch("[0-9a-f]{64}", before)
        client = RendererClient(supervisor.socket_path, queue_timeout=60)
        renditions = open_renditions(renderers=client, cache=TieredCache([cache], clock=clock))
        old = await renditions.get(request("w_19"))
        shutil.copy(OWN_FONTS_FILE.with_name("DejaVuSans-Bold.ttf"), fonts)
        os.kill(supervisor.pids()[0], signal.SIGKILL)
        await until(lambda: current_fingerprint(supervisor.socket_path) != before)
        after = current_fingerprint(supervisor.socket_path)
        served = [await renditions.get(request(f"w_{width}")) for width in range(20, 32)]
        assert client.fingerprint == after
        again = await renditions.get(request("w_19"))
        assert again.rendition.etag != old.rendition.etag
        assert (await renditions.get(request("w_31"))).hit
    assert served[-1].stored
    environments = {rendering_environment(Limits(), each) for each in (before, after)}
    for name, rendition in cache.stored:
        environment, _, options = name.split("\n")[:3]
        assert environment in environments
        expected = identity(request(options.split(";")[0]), rendition.format, '"1"', environment)
        assert rendition.etag == expected, "stored under the name of another environment"
