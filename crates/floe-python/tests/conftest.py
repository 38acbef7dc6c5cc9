"""What the tests share: values as Python has them."""

from __future__ import annotations

import os
from typing import Any

import floe
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

settings.register_profile(
    "floe",
    deadline=None,
    max_examples=int(os.environ.get("FLOE_EXAMPLES", "40")),
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("floe")

TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False)
    | TEXTS
    | st.binary(max_size=8)
)
KEYS = st.recursive(
    LEAVES,
    lambda keys: st.tuples(keys, keys) | st.frozensets(keys, max_size=3),
    max_leaves=4,
)
VALUES = st.recursive(
    LEAVES,
    lambda values: (
        st.lists(values, max_size=5)
        | st.lists(values, max_size=3).map(tuple)
        | st.dictionaries(KEYS, values, max_size=12)
        | st.sets(KEYS, max_size=5)
        | st.frozensets(KEYS, max_size=5)
    ),
    max_leaves=20,
)
DICTS = st.dictionaries(KEYS, VALUES, max_size=14)
LISTS = st.lists(VALUES, max_size=8) | st.lists(st.floats(allow_nan=False), max_size=6)
SETS = st.sets(KEYS, max_size=12)


def frozen(value: Any) -> Any:
    """Freeze a value, and return what reads it."""
    return floe.freeze(value, "test").value


@pytest.fixture
def recipes() -> floe.Frozen:
    """A small cache."""
    return floe.freeze(
        {
            "zlib": {"version": "1.3.1", "depends": []},
            "curl": {"version": "8.12", "depends": ["zlib", "openssl"]},
        },
        "recipes",
    )
