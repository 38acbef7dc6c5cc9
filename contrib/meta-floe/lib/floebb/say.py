"""What the layer has to say, each thing once."""

import logging

logger = logging.getLogger("BitBake.Floe")
_said: set[str] = set()


def once(text: str) -> None:
    """Notes in BitBake's log that something goes BitBake's own way, and why."""
    if text not in _said:
        _said.add(text)
        logger.info("floe: %s", text)


def surprise(seam: str, error: BaseException) -> None:
    """The same, for an error that was caught."""
    once(f"{seam}: BitBake's own way, because of {type(error).__name__}: {error}")
