"""A real cooker and worker over the small layer: the same with meta-floe and without."""

from collections.abc import Callable
from pathlib import Path

import bed
import pytest

TARGETS = ("part24", "part14", "part20", "part4-variant-native")


def test_tasks_are_the_same_with_and_without(build: bed.Build) -> None:
    cold = build.tasks(*TARGETS)
    assert build.regions()
    warm = build.tasks(*TARGETS)
    off = build.tasks(*TARGETS, off=True)
    assert cold == warm == off
    assert len(cold) > 30
    assert any("installed" in name for name in cold)


def test_a_warm_cooker_holds_the_same(build: bed.Build) -> None:
    cold, parsed = build.state()
    assert parsed == 50
    off, parsed = build.state(off=True)
    assert parsed == 0
    warm, parsed = build.state()
    assert parsed == 0
    assert cold == warm == off


def _recipe(build: bed.Build) -> None:
    build.edit(build.recipe("part14"), 'FLAVOUR = "edited"\nDEPENDS += "part2"\nPROVIDES += "new"')


def _class(build: bed.Build) -> None:
    build.edit(build.layer / "classes/extra.bbclass", 'RPROVIDES:${PN} += "packed-${PN}"')


def _append(build: bed.Build) -> None:
    path = next((build.layer / "recipes").glob("part16_*.bbappend"))
    build.edit(path, 'FLAVOUR .= " again"')


def _new_append(build: bed.Build) -> None:
    (build.layer / "recipes/part14_%.bbappend").write_text('FLAVOUR .= " more"\n')


def _no_append(build: bed.Build) -> None:
    next((build.layer / "recipes").glob("part16_*.bbappend")).unlink()


def _include_appears(build: bed.Build) -> None:
    (build.layer / "recipes/maybe-2.inc").write_text('RPROVIDES:${PN} += "maybe"\n')


def _file_appears(build: bed.Build) -> None:
    (build.layer / "recipes/absent").mkdir()
    (build.layer / "recipes/absent/part24.txt").write_text("there\n")


def _file_goes(build: bed.Build) -> None:
    (build.layer / "recipes/files/part9.txt").unlink()


def _new_recipe(build: bed.Build) -> None:
    (build.layer / "recipes/part99_1.0.bb").write_text('DEPENDS = "part20"\nPROVIDES += "new99"\n')


def _recipe_goes(build: bed.Build) -> None:
    build.recipe("part44").unlink()


def _skipped(build: bed.Build) -> None:
    build.edit(build.recipe("part45"), 'UNWANTED = "1"')


def _no_longer_skipped(build: bed.Build) -> None:
    build.edit(build.recipe("part32"), 'UNWANTED = ""')


def _variant(build: bed.Build) -> None:
    build.edit(build.recipe("part20"), 'BBCLASSEXTEND = "variant"')


def _configuration(build: bed.Build) -> None:
    build.configure('FLAVOUR = "configured"\nASSUME_PROVIDED = "part1"')


# Edits that touch different recipes are made together; how many recipes are stale then.
EDITS: list[tuple[list[Callable[[bed.Build], None]], int]] = [
    ([_recipe, _append, _file_appears, _recipe_goes, _no_longer_skipped, _variant], 5),
    (
        [_class, _new_append, _no_append, _new_recipe, _skipped, _include_appears, _file_goes],
        9 + 5 + 8,  # Ten recipes include the file, two of them are of the class.
    ),
    ([_configuration], 50),  # one has come, and one has gone
]


def test_after_an_edit_the_cooker_holds_what_it_would_hold_without(build: bed.Build) -> None:
    build.run("-p")
    for edits, stale in EDITS:
        for edit in edits:
            edit(build)
        edited, parsed = build.state()
        assert parsed == stale, edits
        warm, parsed = build.state()
        assert parsed == 0, edits
        fresh = build.fresh()
        assert edited["indexes"] == fresh["indexes"], edits
        assert warm == fresh, edits


def test_tasks_after_an_edit(build: bed.Build) -> None:
    build.run("-p")
    _recipe(build)
    _class(build)
    edited = build.tasks("-n", *TARGETS)
    warm = build.tasks("-n", *TARGETS)
    build.forget()
    assert edited == warm == build.tasks("-n", *TARGETS, off=True)


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory, bitbake: Path) -> bed.Build:
    """A build directory with warm caches, for those that only ask."""
    made = bed.Build(tmp_path_factory.mktemp("parsed") / "build", bitbake)
    made.run("-p")
    return made


@pytest.mark.parametrize("arguments", [("-s",), ("-e", "part14"), ("-e",)])
def test_queries_answer_the_same(parsed: bed.Build, arguments: tuple[str, ...]) -> None:
    with_layer, without = parsed.run(*arguments), parsed.run(*arguments, off=True)
    assert _lines(with_layer) == _lines(without)


def _lines(text: str) -> list[str]:
    """Without what differs from run to run."""
    changing = ("CONSOLELOG", "DATE", "TIME", "FLOE_BITBAKE", "BUILDNAME", "NOTE:", " object at 0x")
    return sorted(line for line in text.splitlines() if not any(word in line for word in changing))


def test_the_graph_is_the_same(parsed: bed.Build) -> None:
    graphs = []
    for off in (False, True):
        parsed.run("-g", "part24", off=off)
        graphs.append(sorted((parsed.top / "task-depends.dot").read_text().splitlines()))
    assert graphs[0] == graphs[1]


QUERY = """
import bb.tinfoil
with bb.tinfoil.Tinfoil() as tinfoil:
    tinfoil.prepare(quiet=2)
    recipes = {r.pn: (sorted(r.depends), sorted(r.provides), r.pv) for r in tinfoil.all_recipes()}
    layers = tinfoil.config_data.getVar("BBLAYERS")
    print(sorted(recipes.items()), tinfoil.get_recipe_file("part14"), layers)
    print(tinfoil.parse_recipe("part14").getVar("FLAVOUR"))
"""


def test_tinfoil_answers_the_same(parsed: bed.Build) -> None:
    answers = [parsed.python(QUERY, off=off) for off in (False, True)]
    assert _lines(answers[0]) == _lines(answers[1])
    assert "part14" in answers[0]
