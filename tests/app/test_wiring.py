"""What the commands that render open, and how they say that it cannot be had."""

from __future__ import annotations

import pytest

from proxy.app.wiring import open_renderers
from proxy.config.settings import load_settings


def test_renderers_that_cannot_start_are_a_value_error() -> None:
    """Which `serve` and `warm` tell in one sentence."""
    settings = load_settings(renderers=1).model_copy(update={"render_memory": 50_000_000})
    with pytest.raises(ValueError, match="the renderers do not start"), open_renderers(settings):
        pass


def test_an_error_of_who_uses_renderers_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="ours"), open_renderers(load_settings(renderers=1)):
        raise RuntimeError("ours")
