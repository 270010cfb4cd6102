from __future__ import annotations

import pytest

from proxy.config.presets import InvalidPresets, read_presets
from proxy.config.responsive import MAX_WIDTHS, Responsive


def responsive(said: str) -> Responsive | None:
    text = f"presets:\n  a:\n    options: w_100\n    responsive: {said}\n"
    return read_presets(text, "presets.yaml").presets["a"].responsive


def test_widths_are_read_in_order_and_once() -> None:
    assert responsive("{widths: [640, 320, 1280]}") == Responsive(widths=(320, 640, 1280))
    assert responsive("{widths: [640, 320], together: true}") == Responsive(widths=(320, 640), together=True)
    assert responsive("{widths: [320], together: false}") == Responsive(widths=(320,))


def test_a_preset_without_it_has_none() -> None:
    assert read_presets("presets:\n  a: w_100\n", "presets.yaml").presets["a"].responsive is None


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("{}", "no 'widths'"),
        ("[320]", "must be a mapping"),
        ("{widths: 320}", "takes a list"),
        ("{widths: []}", "1 to 16"),
        ("{widths: [0]}", "whole number"),
        ("{widths: [0.5]}", "whole number"),
        ("{widths: [wide]}", "whole number"),
        ("{widths: [320], together: perhaps}", "true or false"),
        ("{widths: [320], sizes: 100vw}", "widths, together"),
        (f"{{widths: {[*range(100, 101 + MAX_WIDTHS)]}}}", "1 to 16"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(said: str, reason: str) -> None:
    with pytest.raises(InvalidPresets, match=reason) as error:
        responsive(said)
    assert str(error.value).startswith("presets.yaml:4:")
