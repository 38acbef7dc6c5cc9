"""Puts a function in the place of another, which it can call."""

import functools
from collections.abc import Callable
from typing import Any

from floebb import state


def method(owner: type, name: str) -> Callable[[Callable[..., Any]], None]:
    """Decorates `f(original, self, ...)`, which then stands for `owner.name` while the layer is
    active. The original is what stood there: another layer's wrapper stays in the chain."""
    original = getattr(owner, name)

    def put(function: Callable[..., Any]) -> None:
        @functools.wraps(original)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not state.active():
                return original(self, *args, **kwargs)
            return function(original, self, *args, **kwargs)

        setattr(owner, name, wrapper)

    return put
