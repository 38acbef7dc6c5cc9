"""Exceptions, with the texts that the Rust library gives."""

from __future__ import annotations

import errno


class Error(Exception):
    """Base of every error of the library: what, where, expected and got, and what to do."""

    def __str__(self) -> str:
        return str(self.args[-1]) if self.args else ""


class InvalidError(Error, ValueError):
    """Bytes, a name or a policy that is not valid, or a value that cannot be built or frozen."""


class UnknownNameError(Error, KeyError):
    """No cache or root of this name is there."""


class OtherTypeError(Error, TypeError):
    """A region holds another type than the one asked for."""


class SystemCallError(Error, OSError):
    """The kernel refused something; `errno` says why."""


class MissingFileError(SystemCallError, FileNotFoundError):
    """A file or socket is not there."""


class NotPermittedError(SystemCallError, PermissionError):
    """What this user, or this process, may not do."""


_BY_NUMBER = {
    errno.ENOENT: MissingFileError,
    errno.EACCES: NotPermittedError,
    errno.EPERM: NotPermittedError,
}


def system_call_error(number: int, text: str) -> SystemCallError:
    """Make the exception of a kernel's answer."""
    return _BY_NUMBER.get(number, SystemCallError)(number, text)
