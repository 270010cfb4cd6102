"""What holds for any options together, on small originals of every make."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from proxy.model.errors import InvalidRequest, ProxyError
from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.options.canonical import canonicalise, merge_aspect, merge_mode, merge_zoom
from proxy.options.spec import OutputFormat, Spec
from proxy.pipeline.decode.sniff import sniff
from proxy.pipeline.decode.source import open_original
from proxy.pipeline.render import render
from proxy.pipeline.render_plan import plan_render
from proxy.pipeline.stages import Rendered
from proxy.url.grammar import parse_options, read_options
from proxy.web.problems import status_of
from tests.pictures import animation, disc, gradient, loaded, photo, plain, saved, tagged
from tests.strategies import written_options

LIMITS = Limits(max_result_pixels=100_000, max_result_side=400)
LOGO = saved(disc(30, 20, 200, 30, 30), Format.PNG)
MOVING = animation(31, 21, (250, 0, 0), (0, 250, 0), (0, 0, 250))
ORIGINALS = {
    "photo": saved(photo(41, 29), Format.JPEG),
    "turned": saved(tagged(gradient(61, 40), orientation=6), Format.JPEG),
    "dot": saved(plain(1, 1, 200, 30, 90), Format.PNG),
    "line": saved(gradient(300, 2), Format.PNG),
    "soft": saved(disc(60, 45, 230, 40, 60), Format.PNG),
    "palette": saved(disc(60, 45, 230, 40, 60), Format.PNG, palette=True),
    "grey": saved(photo(40, 31)[0].copy(interpretation="b-w"), Format.PNG),
    "deep": saved((photo(30, 20).cast("ushort") * 257).copy(interpretation="rgb16"), Format.PNG),
    "webp": saved(disc(60, 45, 230, 40, 60), Format.WEBP),
    "gif": saved(MOVING, Format.GIF),
    "moving": saved(MOVING, Format.WEBP),
    "drawing": b'<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40"><circle r="30"/></svg>',
}
originals = st.sampled_from([*ORIGINALS])


def test_what_comes_out_is_as_planned_or_refused_with_a_reason() -> None:
    outcomes: list[str] = []

    @settings(max_examples=150)
    @given(written_options, originals)
    def holds(text: str, original: str) -> None:
        body = ORIGINALS[original]
        try:
            rendered = render(body, parse_options(text), LIMITS, overlay=LOGO)
        except ProxyError as refusal:
            refused_with_a_reason(refusal)
            outcomes.append("refused")
        else:
            as_planned(rendered, body, parse_options(text))
            outcomes.append("rendered")

    holds()
    assert len(outcomes) >= 150
    assert outcomes.count("rendered") > len(outcomes) / 2, "usually five of six"


def refused_with_a_reason(refusal: ProxyError) -> None:
    assert 400 <= status_of(refusal) < 500
    assert len(refusal.message) > 10


def as_planned(rendered: Rendered, body: bytes, spec: Spec) -> None:
    opened = open_original(body, LIMITS, page=spec.page or 0, autoorient=spec.autoorient)
    plan = plan_render(opened, spec, LIMITS).geometry
    assert (rendered.width, rendered.height) == (plan.result.width, plan.result.height)
    image = loaded(rendered.body)
    assert (image.width, image.height) == (rendered.width, rendered.height)
    assert sniff(rendered.body) is rendered.format


@settings(max_examples=100)
@given(written_options, originals)
def test_settling_changes_no_picture(text: str, original: str) -> None:
    try:
        written = Spec(**read_options(text))
    except InvalidRequest:
        assume(False)
    # To darken and brighten by the same, and to lay nothing over a picture, rounds twice; that is all.
    assume(written.gamma is None and written.overlay_opacity > 0)
    written = replace(written, format=OutputFormat.PNG, animated=False, frames=None)
    # As far as the pipeline needs it, and no farther.
    read = merge_mode(merge_zoom(merge_aspect(written)))
    settled = canonicalise(written)
    read = replace(read, radii=settled.radii)
    body = ORIGINALS[original]
    try:
        wanted = render(body, read, LIMITS, overlay=LOGO)
    except ProxyError:
        assume(False)
    got = render(body, settled, LIMITS, overlay=LOGO)
    assert (got.width, got.height) == (wanted.width, wanted.height)
    if got.body != wanted.body:
        assert (loaded(got.body) - loaded(wanted.body)).abs().max() == 0
