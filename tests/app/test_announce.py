"""What a server says when it starts."""

from __future__ import annotations

import pytest

from proxy.app.announce import audience
from proxy.config.settings import load_settings


@pytest.mark.parametrize(
    "flags, told",
    [
        ({"dev": True}, "this machine"),
        ({}, "a reverse proxy"),
        ({"host": "0.0.0.0", "unsigned": "allow", "unsigned_public": True}, "anybody who reaches"),
    ],
)
def test_who_may_ask_without_a_signature_is_told(flags: dict[str, object], told: str) -> None:
    assert told in audience(load_settings(**flags))
