"""
Everything that can go wrong, by whose move is next:

* ProxyError
  x InvalidRequest           the URL is wrong until its author changes it
    - UnknownOption
    - RepeatedOption
    - ConflictingOptions
    - InvalidValue
    - UnknownPreset
    - UnknownOverlay
    - InvalidKey
    - TooLong
  x Forbidden                the URL is well formed and not allowed here
    - BadSignature
    - PolicyRefused
    - SourceNotAllowed
    - Expired
  x OriginalNotFound
    - OriginalForbidden
  x OriginalTooLarge         more bytes than this deployment reads
  x UnusableOriginal         the bytes came, and no picture can be made of them
    - NotAnImage
    - BrokenImage
    - TooManyPixels
    - TooCostly
    - NoSuchPage
    - UnusableOverlay
  x ResultTooLarge
  x OriginFailed             the other side's fault
    - OriginRefused
    - OriginalUnreadable
    - OriginTimedOut
  x Overloaded               ours, and it will pass
    - RateLimited
  x ClientLeft               no answer is needed any more

Which HTTP status each family means is told in one table, `proxy.web.problems.STATUS`.
"""

from __future__ import annotations

import re
from typing import Any


class ProxyError(Exception):
    """
    Base of every error this package raises on purpose.

    `message` is one sentence for people. `facts` are what a program may want: `option`, `value`,
    `allowed` (strings), `retry_after` (seconds), `origin_status` (int). Both are shown to strangers, so
    neither ever holds a secret, a path on disk or another server's words.
    """

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.message, self.facts)

    @property
    def code(self) -> str:
        """The stable name that programs match on: `unknown_option` for `UnknownOption`."""
        return code_of(type(self))


def _rebuilt(kind: type[ProxyError], message: str, facts: dict[str, Any]) -> ProxyError:
    return kind(message, **facts)


class InvalidRequest(ProxyError):
    """The URL is wrong, and stays wrong until its author changes it."""


class UnknownOption(InvalidRequest):
    """No option has that name."""


class RepeatedOption(InvalidRequest):
    """One option, under the same name or two, was given twice."""


class ConflictingOptions(InvalidRequest):
    """Each option is fine, and they cannot both hold."""


class InvalidValue(InvalidRequest):
    """The option does not take that value."""


class UnknownPreset(InvalidRequest):
    """No preset has that name."""


class UnknownOverlay(InvalidRequest):
    """No overlay has that name in presets.yaml."""


class InvalidKey(InvalidRequest):
    """No key, or one that no origin may be asked for: `..`, empty segments, control characters."""


class TooLong(InvalidRequest):
    """A URL longer than this proxy reads."""


class Forbidden(ProxyError):
    """The URL is well formed, and this deployment does not serve it."""


class BadSignature(Forbidden):
    """The signature is wrong, or a required one is missing."""


class PolicyRefused(Forbidden):
    """Unsigned, and the policy for unsigned URLs does not let this one through."""


class SourceNotAllowed(Forbidden):
    """The key leads to a host that this deployment does not fetch from."""


class Expired(Forbidden):
    """The URL was good until a time that has passed."""


class OriginalNotFound(ProxyError):
    """The origin has no original under that key."""


class OriginalForbidden(OriginalNotFound):
    """The origin refuses this proxy the original. Object stores refuse what is absent, too."""


class OriginalTooLarge(ProxyError):
    """More bytes than this deployment reads."""


class UnusableOriginal(ProxyError):
    """The bytes came, and no picture can be made of them."""


class NotAnImage(UnusableOriginal):
    """No image, or one of a format that is not accepted."""


class BrokenImage(UnusableOriginal):
    """Truncated or corrupt."""


class TooManyPixels(UnusableOriginal):
    """More pixels, frames or length of side than this deployment decodes."""


class TooCostly(UnusableOriginal):
    """A renderer ran out of time or memory on it, or died."""


class NoSuchPage(UnusableOriginal):
    """A page or a frame beyond the last one."""


class UnusableOverlay(UnusableOriginal):
    """The overlay is not there, or no picture can be made of it."""


class ResultTooLarge(ProxyError):
    """The answer would be larger than this deployment, or the format, allows."""


class OriginFailed(ProxyError):
    """The origin answered with an error, with nonsense, or not at all."""


class OriginRefused(OriginFailed):
    """The origin refuses this proxy everything: no credentials, or wrong ones."""


class OriginalUnreadable(OriginFailed):
    """The file is there, and this process may not read it: its owner or its mode is wrong."""


class OriginTimedOut(OriginFailed):
    """The origin did not answer in time."""


class Overloaded(ProxyError):
    """This deployment has too much to do right now. The fact `retry_after` is in seconds."""


class RateLimited(Overloaded):
    """
    The client had as many renditions made as one may. The facts are `client`, `rate` (renditions), `window`
    and `retry_after` (seconds).
    """


class ClientLeft(ProxyError):
    """All clients closed their connections before the work that they waited for was begun."""


def without_traceback(error: ProxyError) -> ProxyError:
    """Return a copy that can be cached: a traceback would hold on to every local variable on its way."""
    return type(error)(error.message, **error.facts)


def code_of(kind: type[ProxyError]) -> str:
    """Return the stable name of a type of error: `unknown_option` for `UnknownOption`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def errors_by_code(kind: type[ProxyError] = ProxyError) -> dict[str, type[ProxyError]]:
    """Return all error types from `kind` down, by code: how an error crosses from another process."""
    found = {code_of(kind): kind}
    for below in kind.__subclasses__():
        found |= errors_by_code(below)
    return found
