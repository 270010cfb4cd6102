"""
What an error of obstore means. Its exceptions have no fields, and for most failures one class: the status
that a store answered with, the reason that it gave and the option that is missing stand in the text alone.
Only this module reads that text, and tests/clients/test_store_errors.py names the wording that it relies on.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

from obstore import exceptions

STORE_ERRORS = (exceptions.BaseError, OSError, TimeoutError)
"""All that a call to an object store may raise."""

STORE_NOT_FOUND = (FileNotFoundError, exceptions.NotFoundError)

_STATUS = re.compile(r"status code: ([1-5][0-9]{2})\b")
# S3 and Azure answer 400 or 403 with one of these to a client that they do not know. A 403 without is about
# what the client may do.
_UNAUTHENTICATED = re.compile(
    r"<Code>(?:SignatureDoesNotMatch|InvalidAccessKeyId|ExpiredToken|InvalidToken|RequestTimeTooSkewed"
    r"|AuthenticationFailed|AuthorizationFailure)</Code>"
)
_CONFIGURATION = re.compile(
    r"Missing (?:SecretAccessKey|AccessKeyId|component in SAS query pair)|Account must be specified"
    r"|Invalid Access Key|Unable to decode service account file|Error reading pem file"
)


class FailureKind(Enum):
    """What an object store said, or that it said nothing."""

    UNAUTHENTICATED = auto()
    """The store does not know the client, or its credentials have expired."""
    FORBIDDEN = auto()
    """The client may not have this. Some stores say so of what does not exist, too."""
    ANSWERED = auto()
    """Another status."""
    UNREACHABLE = auto()
    """No answer at all."""


class StoreFailure(NamedTuple):
    """`status` is the HTTP status of the answer, as far as it is known."""

    kind: FailureKind
    status: int | None


def read_store_failure(error: Exception) -> StoreFailure:
    """What happened, of an error that is not one of STORE_NOT_FOUND."""
    text = str(error)
    found = _STATUS.search(text)
    status = int(found[1]) if found else None
    if isinstance(error, exceptions.UnauthenticatedError) or _UNAUTHENTICATED.search(text):
        return StoreFailure(FailureKind.UNAUTHENTICATED, status)
    if isinstance(error, exceptions.PermissionDeniedError):
        return StoreFailure(FailureKind.FORBIDDEN, status)
    return StoreFailure(FailureKind.UNREACHABLE if status is None else FailureKind.ANSWERED, status)


def configuration_problem(error: Exception) -> str:
    """Why a store cannot be opened: in obstore's words where they quote no secret, else the kind of error."""
    known = _CONFIGURATION.search(str(error))
    return known[0] if known else error_kind(error)


def error_kind(error: Exception) -> str:
    """The kind of an error in a word, for messages: `NotFound`."""
    return type(error).__name__.removesuffix("Error")
