"""A URL is served when its exact bytes were signed, and refused with a reason when not."""

from __future__ import annotations

import string
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.model.errors import BadSignature
from proxy.url.signing import Secret, normalise_path, parse_secrets, sign, verify

ALPHABET = string.ascii_letters + string.digits + "-_"
PATH = b"/w_300,h_200,f_webp/photos/scene.jpg"
SIGNATURE = "Tpv9JubyHyvNNKEUMi35ZkBITdcGrElq2bG5qQirB1E"
SECRETS = (Secret(value=b"secret-key"),)

paths = st.binary(max_size=60).map(lambda rest: b"/" + rest)
keys = st.binary(min_size=1, max_size=80)


def refusal(secrets: tuple[Secret, ...], path: bytes, signature: str | bytes | None) -> str:
    with pytest.raises(BadSignature) as caught:
        verify(secrets, path, signature)
    reason = caught.value.facts["reason"]
    assert isinstance(reason, str)
    return reason


@pytest.mark.parametrize(
    "path, signature",
    [
        (PATH, SIGNATURE),
        (b"/s_300x200,f_auto/photos/a%20b%2Bc.jpg", "nrIIbIdp0jJ9jFn2cQN-Ek4y0L-fZRc-YkggkfjCsfk"),
    ],
)
def test_published_vectors_hold(path: bytes, signature: str) -> None:
    """Client libraries in other languages are written against these two."""
    assert sign("secret-key", path) == signature
    verify(SECRETS, path, signature)


@given(keys, paths)
def test_what_was_signed_verifies(key: bytes, path: bytes) -> None:
    verify((Secret(value=key),), path, sign(key, path))


@given(st.data(), paths)
def test_another_path_is_refused(data: st.DataObject, path: bytes) -> None:
    place = data.draw(st.integers(0, len(path) - 1))
    other = path[:place] + data.draw(st.binary(max_size=2)) + path[place + 1 :]
    assume(normalise_path(other) != normalise_path(path))
    assert refusal(SECRETS, other, sign("secret-key", path)) == "wrong"


@given(st.integers(0, 42), st.characters())
def test_one_other_character_in_the_signature_is_refused(place: int, character: str) -> None:
    assume(character != SIGNATURE[place])
    assert refusal(SECRETS, PATH, SIGNATURE[:place] + character + SIGNATURE[place + 1 :]) == "wrong"


def test_the_base64_twins_of_a_signature_are_refused() -> None:
    """Four last characters decode to the same 32 bytes; one URL would have four names in a CDN."""
    twins = [SIGNATURE[:-1] + ALPHABET[(ALPHABET.index(SIGNATURE[-1]) + step) % 64] for step in range(1, 64)]
    assert {refusal(SECRETS, PATH, twin) for twin in twins} == {"wrong"}


@pytest.mark.parametrize("tail", ["=", "\n", " ", "!", "A"])
def test_anything_after_the_signature_is_refused(tail: str) -> None:
    assert refusal(SECRETS, PATH, SIGNATURE + tail) == "wrong"


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_junk_is_refused_and_never_an_accident(junk: str | bytes) -> None:
    assert refusal(SECRETS, PATH, junk) in {"missing", "too_short", "wrong"}


@pytest.mark.parametrize("character", ["é", "\udc80", "/", "+", "\0"])
def test_characters_outside_the_alphabet_are_refused(character: str) -> None:
    """`hmac.compare_digest` raises TypeError on text that is not ASCII."""
    assert refusal(SECRETS, PATH, character + SIGNATURE[1:]) == "wrong"


@pytest.mark.parametrize("signature", [None, "", b""])
def test_no_signature_is_missing(signature: str | bytes | None) -> None:
    assert refusal(SECRETS, PATH, signature) == "missing"


@pytest.mark.parametrize("length", range(22, 43))
def test_a_shortened_signature_verifies(length: int) -> None:
    verify(SECRETS, PATH, SIGNATURE[:length])
    wrong = SIGNATURE[: length - 1] + ("A" if SIGNATURE[length - 1] != "A" else "B")
    assert refusal(SECRETS, PATH, wrong) == "wrong"


@pytest.mark.parametrize("length", [1, 21])
def test_less_than_22_characters_is_too_short(length: int) -> None:
    assert refusal(SECRETS, PATH, SIGNATURE[:length]) == "too_short"


def test_a_signature_may_come_as_bytes() -> None:
    verify(SECRETS, PATH, SIGNATURE.encode())


def test_every_secret_of_a_rotation_verifies() -> None:
    secrets = parse_secrets("new:aaaa,old:bbbb")
    verify(secrets, PATH, sign("aaaa", PATH))
    verify(secrets, PATH, sign("bbbb", PATH))
    assert refusal(secrets, PATH, sign("cccc", PATH)) == "wrong"


def test_without_secrets_nothing_verifies() -> None:
    assert refusal((), PATH, sign("", PATH)) == "wrong"


def test_a_refusal_never_tells_the_right_signature() -> None:
    with pytest.raises(BadSignature) as caught:
        verify(SECRETS, PATH, "A" * 43)
    told = f"{caught.value.message} {caught.value.facts}"
    assert SIGNATURE[:4] not in told
    assert "secret-key" not in told


@pytest.mark.parametrize("sent", [b"/_/%7Euser/a%2db.jpg", b"/%5F/~user/a-b.jpg", b"/_/~user/%61-b.jpg"])
def test_the_normal_form_was_signed_and_another_spelling_arrives(sent: bytes) -> None:
    """Proxies on the way escape what need not be."""
    verify(SECRETS, sent, sign("secret-key", b"/_/~user/a-b.jpg"))


def test_lower_case_hex_is_the_same_path() -> None:
    verify(SECRETS, b"/_/a%2fb.jpg", sign("secret-key", b"/_/a%2Fb.jpg"))


@pytest.mark.parametrize("sent", [b"/_/a/b.jpg", b"/_/a%252Fb.jpg"])
def test_a_decoded_or_twice_encoded_path_is_another_path(sent: bytes) -> None:
    assert refusal(SECRETS, sent, sign("secret-key", b"/_/a%2Fb.jpg")) == "wrong"


def test_a_stray_percent_sign_is_not_completed() -> None:
    """`%%37E` means the four characters `%7E`, and would become `%7E`, which means `~`."""
    assert refusal(SECRETS, b"/_/%%37E", sign("secret-key", b"/_/%7E")) == "wrong"


@given(st.lists(st.sampled_from([b"%", b"2", b"7", b"e", b"E", b"f", b"5", b"~", b"/", b"."])).map(b"".join))
def test_the_normal_form_means_the_same_and_is_final(path: bytes) -> None:
    assert unquote_to_bytes(normalise_path(path)) == unquote_to_bytes(path)
    assert normalise_path(normalise_path(path)) == normalise_path(path)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("abc", (None, b"abc")),
        ("2024-11:abc", ("2024-11", b"abc")),
        ("id:a:b", ("id", b"a:b")),
        (" abc ", (None, b"abc")),
        ("a+b:c", (None, b"a+b:c")),
        (f"{'x' * 33}:c", (None, b"x" * 33 + b":c")),
        (":c", (None, b":c")),
        ("é", (None, "é".encode())),
    ],
)
def test_what_stands_before_a_colon_is_an_id_when_it_looks_like_one(
    text: str, expected: tuple[str | None, bytes]
) -> None:
    assert [(secret.id, secret.value) for secret in parse_secrets(text)] == [expected]


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "secret 1 is empty"),
        ("abc,", "secret 2 is empty"),
        ("abc, ,def", "secret 2 is empty"),
        ("id:", "secret 1 is empty"),
        ("id:hidden,id:buried", "two secrets have the id 'id'"),
    ],
)
def test_an_empty_secret_or_a_repeated_id_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        parse_secrets(text)
    assert "hidden" not in str(caught.value)


def test_a_secret_is_not_shown() -> None:
    assert repr(parse_secrets("id:hidden")[0]) == "Secret(id='id')"
