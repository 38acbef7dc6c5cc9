"""Build directories that are set up otherwise: the same with meta-floe and without."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import bed
import pytest
from floebb import findings

MULTICONFIG = """\
BBMULTICONFIG = "one two"
do_compile[mcdepends] = "${@'mc:one:two:part2:do_install' if d.getVar('PN') == 'part4' else ''}"
"""
IN_ONE = 'WORKDIR = "${TMPDIR}/work/one/${PF}"\nSTAMPS_DIR = "${TMPDIR}/stamps/one"\n'
TARGETS = ("part5", "mc:one:part4", "mc:two:part4-variant-native")


@pytest.fixture
def few(tmp_path: Path, bitbake: Path) -> Iterator[bed.Build]:
    """A build directory with few recipes."""
    made = bed.Build(tmp_path, bitbake, recipes=15)
    yield made
    made.kill()


def test_two_configurations(few: bed.Build) -> None:
    few.configure(MULTICONFIG)
    folder = few.top / "conf/multiconfig"
    folder.mkdir()
    (folder / "one.conf").write_text(IN_ONE + 'FLAVOUR:append = " in one"\n')
    (folder / "two.conf").write_text(IN_ONE.replace("one", "two") + 'PR = "r2"\n')

    def tasks(**options: object) -> tuple[dict, tuple]:
        seen = few.tasks("-n", *TARGETS, **options)
        return seen, few.last_state()

    seen, (state, parsed) = tasks()
    assert parsed == 3 * 15
    assert len(few.regions()) == 6
    assert {"", "one", "two"} == state["indexes"].keys()
    assert any(task.startswith("mc:two:") and "part2_" in task for task in seen)
    assert tasks() == tasks(off=True) == (seen, (state, 0))
    few.edit(few.recipe("part4"), 'FLAVOUR = "edited"\nDEPENDS += "part3"\nPROVIDES += "new"')
    edited, (state, parsed) = tasks()
    assert parsed == 3
    assert edited != seen
    off, (theirs, parsed) = tasks(off=True)
    assert off == edited
    assert theirs["indexes"] == state["indexes"] == few.state()[0]["indexes"]


FAKEROOT = """\
FAKEROOTCMD = "%s"
FAKEROOTBASEENV = "FAKED_BASE=base"
FAKEROOTENV = "FAKED=${PN}"
FAKEROOTNOENV = "FAKED="
FAKEROOTDIRS = "${TMPDIR}/faked/${PN}"
FAKEROOTLOGS = "${WORKDIR}/faked.log"
"""
# Stands in for pseudo: says in the environment of the worker that it is there.
COMMAND = '#!/bin/sh\n[ "$1" = -S ] || FAKED_BY=stand-in exec "$@"\n'


def test_tasks_in_a_fakeroot_worker(few: bed.Build) -> None:
    command = few.top / "fakeroot"
    command.write_text(COMMAND)
    command.chmod(0o755)
    few.edit(few.layer / "conf/bitbake.conf", FAKEROOT % command)
    told = 'do_install:append() {\n  echo "$FAKED_BY $FAKED_BASE $FAKED" >> ${B}/installed\n}\n'
    few.edit(few.layer / "classes/extra.bbclass", told + 'do_install[fakeroot] = "1"')
    seen = few.tasks("part12")
    last_lines = {text[0].splitlines()[-1] for name, text in seen.items() if "installed" in name}
    assert {"stand-in base part12", "stand-in base part6", "compile part4 flavour 1"} <= last_lines
    assert (few.top / "tmp/faked/part12").is_dir()
    assert few.tasks("part12", off=True) == seen


def _known(file: Path) -> list[dict]:
    """What BitBake's own file knows of code."""
    data, _ = pickle.loads(file.read_bytes())
    return [{key: line.__getstate__() for key, line in part.items()} for part in data]


def test_two_cookers_with_one_folder_of_findings(tmp_path: Path, bitbake: Path) -> None:
    """Two build directories, at work at once, keep what they know of code in one place."""
    shared = tmp_path / "shared"
    builds = [bed.Build(tmp_path / name, bitbake, recipes=15) for name in ("one", "two")]
    for build in builds:
        build.edit(build.top / "conf/bblayers.conf", f'BB_CACHEDIR = "{shared}"')
        extra = f"do_package:append() {{\n  only_in_{build.top.name}\n}}"
        build.edit(build.layer / "classes/extra.bbclass", extra)
    for _ in range(2):  # Without a region at first, then with one.
        clients = [(build, build.begin("-p")) for build in builds]
        assert [build.end(client) for build, client in clients] == [[0], [0]]
        states = [build.last_state()[0]["indexes"] for build in builds]
        file = shared / "bb_codeparser.dat"
        known = _known(file)
        root = findings.floe.load(file.with_suffix(".floe")).value
        assert [dict(root["entries"][name]) for name in ("python", "shell")] == known
        programs = set().union(*known[1].values())
        assert {"only_in_one", "only_in_two"} <= programs
        assert not list(shared.glob("*.dat-*"))
        for build in builds:
            build.edit(build.layer / "classes/base.bbclass", "# read again")
    assert [build.state(off=True)[0]["indexes"] for build in builds] == states
