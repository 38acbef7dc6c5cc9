"""Makes BitBake importable, and gives each test a build directory."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "bed/lib"), str(HERE.parent / "lib")]

import bb.cooker  # noqa: E402,F401 - as in a cooker, before the layer
import bed  # noqa: E402
import floebb  # noqa: E402,F401 - puts the seams in


@pytest.fixture(scope="session")
def bitbake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BitBake with scripts."""
    return bed.install(tmp_path_factory.mktemp("bitbake") / "bitbake")


@pytest.fixture
def build(tmp_path: Path, bitbake: Path) -> Iterator[bed.Build]:
    """A build directory over the small layer, with meta-floe in use."""
    made = bed.Build(tmp_path, bitbake)
    yield made
    made.kill()  # What a test that failed has left.
