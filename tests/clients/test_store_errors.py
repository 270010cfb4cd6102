"""
The wording of obstore that its errors are told apart by: an upgrade that changes it fails here, by name.
"""

from __future__ import annotations

import obstore
import pytest
from obstore import exceptions
from obstore.store import from_url

from proxy.clients.object_store import open_store
from proxy.clients.store_errors import (
    STORE_ERRORS,
    STORE_NOT_FOUND,
    FailureKind,
    StoreFailure,
    configuration_problem,
    read_store_failure,
)
from tests.origins.server import Server, reply

S3 = {"access_key_id": "me", "secret_access_key": "k", "region": "r"}


async def failure(endpoint: str) -> Exception:
    store = open_store("s3://media", S3 | {"endpoint": endpoint}, 5.0)
    with pytest.raises(STORE_ERRORS) as error:
        await obstore.get_async(store, "tom.jpg")
    return error.value


@pytest.mark.parametrize("status", [400, 410, 416, 429, 500, 502, 503, 504])
async def test_the_status_stands_in_the_text_alone(server: Server, status: int) -> None:
    server.put("*", reply(b"status code: 299", status=status))
    error = await failure(server.url)
    assert type(error) is exceptions.GenericError, "a class or a field of its own could replace the text"
    assert f"status code: {status} " in str(error)
    assert read_store_failure(error) == StoreFailure(FailureKind.ANSWERED, status)


async def test_classes_tell_what_is_absent_and_what_is_not_allowed(server: Server) -> None:
    server.put("*", reply(status=404), reply(status=401), reply(status=403))
    assert isinstance(await failure(server.url), STORE_NOT_FOUND)
    unknown, forbidden = await failure(server.url), await failure(server.url)
    assert isinstance(unknown, exceptions.UnauthenticatedError)
    assert read_store_failure(unknown).kind is FailureKind.UNAUTHENTICATED
    assert isinstance(forbidden, exceptions.PermissionDeniedError)
    assert read_store_failure(forbidden) == StoreFailure(FailureKind.FORBIDDEN, 403)


@pytest.mark.parametrize(
    "status, code",
    [(403, "SignatureDoesNotMatch"), (403, "InvalidAccessKeyId"), (403, "RequestTimeTooSkewed"),
     (403, "AuthenticationFailed"), (403, "AuthorizationFailure"), (400, "ExpiredToken"),
     (400, "InvalidToken")],
)  # fmt: skip
async def test_the_code_of_an_unknown_client_is_quoted(server: Server, status: int, code: str) -> None:
    server.put("*", reply(f"<Error><Code>{code}</Code></Error>".encode(), status=status))
    error = await failure(server.url)
    assert f"<Code>{code}</Code>" in str(error)
    assert read_store_failure(error) == StoreFailure(FailureKind.UNAUTHENTICATED, status)


async def test_a_store_that_cannot_be_reached_has_no_status() -> None:
    assert read_store_failure(await failure("http://127.0.0.1:1")) == StoreFailure(
        FailureKind.UNREACHABLE, None
    )


@pytest.mark.parametrize(
    "url, told, reason",
    [
        ("s3://media", {"access_key_id": "me"}, "Missing SecretAccessKey"),
        ("s3://media", {"secret_access_key": "s3cret"}, "Missing AccessKeyId"),
        ("gs://media", {"service_account_key": "s3cret"}, "Unable to decode service account file"),
        ("az://media", {"account_name": "me", "account_key": "s3cret!"}, "Invalid Access Key"),
        ("az://media", {"account_name": "me", "sas_key": "s3cret"}, "Missing component in SAS query pair"),
        ("az://media", {}, "Account must be specified"),
    ],
)
def test_a_missing_option_stands_in_the_text_alone(
    url: str, told: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_NAME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(exceptions.GenericError) as error:
        from_url(url, config=told or None)  # type: ignore[arg-type]
    assert configuration_problem(error.value) == reason


def test_of_what_is_not_known_to_be_harmless_only_the_class_is_quoted() -> None:
    assert configuration_problem(exceptions.GenericError("the key 's3cret' is wrong")) == "Generic"
