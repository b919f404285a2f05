"""Fields that requests to our route have beyond a chat completion's: what all of their checks share.

Used by the server plugin and by the fake, so that both refuse the same bodies in the same words.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, TypeVar

FormT = TypeVar("FormT", bound=StrEnum)


class RequestFieldError(ValueError):
    """A field of a request cannot be followed: `param`. The server answers 400 with this message."""

    param: ClassVar[str]


def read_form(value: object, forms: type[FormT], *, default: FormT, error: type[RequestFieldError]) -> FormT:
    """The one of `forms` that a field asks for, `default` where it does not say (or says null), else `error`."""
    if value is None:
        return default
    if not isinstance(value, str) or value not in set(forms):
        allowed = " or ".join(f'"{form}"' for form in forms)
        raise error(f"{error.param} must be {allowed}, got {value!r:.40}")
    return forms(value)
