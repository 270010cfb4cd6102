"""URLs that were meant for another image server, or left something out: what is probably meant."""

from __future__ import annotations

import pytest

from proxy.requests.correction import corrected_path

SIGNATURE = "/s--" + "_" * 43 + "--"


@pytest.mark.parametrize(
    "path, query, meant",
    [
        ("/w_300/h_200/cats/tom.jpg", "", "/w_300,h_200/cats/tom.jpg"),
        ("/c_fill,w_200/e_sepia/f_auto/tom.jpg", "", "/c_fill,w_200,e_sepia,f_auto/tom.jpg"),
        ("/c_fill,w_200/e_sepia/v1712/cats/tom.jpg", "", "/c_fill,w_200,e_sepia/cats/tom.jpg"),
        ("/w_200/v1712/tom.jpg", "", "/w_200/tom.jpg"),
        ("/w_200/v1712", "", None),
        ("/_vercel/image", "url=%2Fcats%2Ftom.jpg&w=640&q=75", "/w_640,q_75/cats/tom.jpg"),
        ("/tom.jpg", "", "/_/tom.jpg"),
        ("/cats/tom.jpg", "", "/_/cats/tom.jpg"),
        ("/tom.jpg", "w=300&h=200&utm=x", "/w=300,h=200/tom.jpg"),
        ("/_next/image", "url=%2Fcats%2Ftom.jpg&w=640&q=75", "/w_640,q_75/cats/tom.jpg"),
        (f"{SIGNATURE}/w_300/h_200/cats/tom.jpg", "", "/w_300,h_200/cats/tom.jpg"),
        (f"{SIGNATURE}/w_300,h_200/cats/tom.jpg", "", None),
        ("/w_300,h_200/cats/tom.jpg", "", None),
        ("/blurr/tom.jpg", "", None),
        ("/w300/tom.jpg", "", None),
        ("/../etc/passwd", "", None),
        ("/cats//tom.jpg", "", None),
        ("/_next/image", "url=%2F..%2Ftom.jpg&w=640", None),
        ("/w_0/tom.jpg", "", None),
        ("/300x200/tom.jpg", "", None),
        ("/", "", None),
        ("/_next/image", "w=640", None),
        ("/" + "w_1/" * 4_000 + "tom.jpg", "", None),
    ],
)
def test_what_was_probably_meant(path: str, query: str, meant: str | None) -> None:
    assert corrected_path(path, query) == meant


@pytest.mark.parametrize("signature", ["", SIGNATURE])
def test_what_is_asked_about_a_picture_is_suggested_in_its_place(signature: str) -> None:
    assert (
        corrected_path(f"{signature}/-/info/w_300/h_200/tom.jpg", "", "/-/info")
        == "/-/info/w_300,h_200/tom.jpg"
    )
    assert corrected_path(f"{signature}/-/info/w_300/none.jpg", "", "/-/info") is None
