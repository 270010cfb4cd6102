"""Parts of what is cached, as they are sent. Conditions and ranges through HTTP are in test_images.py."""

from __future__ import annotations

from proxy.model.media import Format, Rendition
from proxy.model.outcome import HIT
from proxy.web.conditional import conditional_response
from proxy.web.responses import HttpResponse


def test_a_part_is_no_copy() -> None:
    """Slow readers of parts would hold as many copies as there are of them, beyond the bound of the cache."""
    rendition = Rendition(body=bytes(1_000), format=Format.PNG, width=1, height=1, etag="one")
    whole = HttpResponse(200, [(b"content-length", b"1000")], rendition.body, HIT)
    response = conditional_response({b"range": b"bytes=10-899"}, rendition, whole)
    assert response.status == 206
    assert isinstance(response.body, memoryview)
    assert response.body.obj is rendition.body
    assert response.body == rendition.body[10:900]
