"""What goes wrong costs time, and nothing else."""

import contextlib
import os
import shutil
import time
from pathlib import Path

import bed
import floe
import pytest
from floebb import child, files, store


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)


def _other_format(path: Path) -> None:
    path.write_bytes(b"FLOE" + bytes(4096))


def _other_layout(path: Path) -> None:
    files.save({"of": {"format": 0}, "infos": {}}, "other", str(path))


DAMAGES = ((_cut, 1), (_flip, 1), (_other_format, 1), (_other_layout, 0))


def test_a_damaged_region_is_not_used_and_is_made_again(build: bed.Build) -> None:
    good, _ = build.state()
    for damage, notes in DAMAGES:
        assert len(build.regions()) == 2
        for path in build.regions():
            damage(path)
        text = build.run("-p")
        assert text.count("BitBake's own way") == notes, text
        for path in build.regions():
            assert floe.load(path).value["of"]["format"] == store.FORMAT, damage
    assert build.state() == (good, 0)
    assert "floe:" not in build.run("-p")


def test_a_cache_that_bitbake_wrote_since_voids_the_region(build: bed.Build) -> None:
    build.run("-p")
    build.edit(build.recipe("part14"), 'PROVIDES += "since"')
    build.run("-p", off=True)
    seen, parsed = build.state()
    assert parsed == 0
    assert "since" in seen["indexes"][""]["providers"]


def test_no_room_for_a_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def save(self, path: str) -> None:
            Path(path).write_text("some of it")
            raise OSError(28, "No space left on device")

    files.save({"of": {"x": 1}}, "first", str(tmp_path / "region"))
    before = (tmp_path / "region").read_bytes()
    with pytest.raises(OSError, match="space"):
        files.keep(Full(), str(tmp_path / "region"))
    assert [path.name for path in tmp_path.iterdir()] == ["region"]
    assert (tmp_path / "region").read_bytes() == before


def test_a_cache_directory_that_is_full(build: bed.Build) -> None:
    """The regions do not fit, BitBake's own cache does."""
    good, _ = build.state()
    taken = build.top / "tmp/cache"
    for path in build.regions():
        path.unlink()
        path.mkdir()  # Nothing can be put in its place.
    text = build.run("-p")
    assert "Loaded 55 entries" in text
    assert build.state() == (good, 0)
    assert not list(taken.glob(".bb_cache.floe*")), "a part was left"


def test_a_cooker_that_is_killed_leaves_nothing_wrong(build: bed.Build) -> None:
    good, _ = build.state()
    for after in (0.2, 0.6, 1.0):
        build.edit(build.layer / "classes/base.bbclass", "# edited")
        client = build.begin("-p")
        time.sleep(after)  # Any moment will do.
        build.kill()
        build.end(client)
        assert build.state()[0]["indexes"] == good["indexes"], after
    assert build.state()[1] == 0


def test_two_clients_on_one_build_directory(build: bed.Build) -> None:
    """One server at a time: BitBake's lock sees to that, and whoever comes later waits for it or
    is served by the first."""
    good, _ = build.state()
    build.edit(build.recipe("part14"), "# read again")
    assert build.end(build.begin("-p"), build.begin("-p")) == [0, 0]
    state, parsed = build.state()
    assert parsed == 0
    assert state["indexes"] == good["indexes"]


def test_a_child_that_saves_does_not_hold_the_lock(tmp_path: Path) -> None:
    """It may outlive a cooker that is killed."""

    def work() -> None:
        for fd in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                assert not os.path.samefile(f"/proc/self/fd/{fd}", lock.name), fd

    with open(tmp_path / "lock", "w") as lock:
        child.run(work)


def test_the_layer_is_removed_and_added_again(build: bed.Build) -> None:
    with_layer, _ = build.state()
    build.use()
    without, parsed = build.state()
    assert parsed == 50
    assert without == with_layer
    build.use(layer=True)
    assert build.state() == (with_layer, 0)


def test_the_line_costs_no_parse(build: bed.Build) -> None:
    build.use()
    without, _ = build.state()
    build.use(line=True)
    assert build.state() == (without, 0)
    assert build.regions()
    assert build.state() == (without, 0)
    build.use()
    assert build.state() == (without, 0)


def test_a_resident_server(build: bed.Build) -> None:
    """Removes and adds the layer while one server lives, and edits a recipe meanwhile."""
    stay = {"server": "60"}
    try:
        first = build.tasks("-n", "part24", **stay)
        build.use()
        build.edit(build.recipe("part24"), 'FLAVOUR = "resident"')
        second = build.tasks("-n", "part24", **stay)
        build.use(layer=True)
        third = build.tasks("-n", "part24", **stay)
        build.use(line=True)
        fourth = build.tasks("-n", "part24", **stay)
        assert first != second == third == fourth
        assert build.log().count("Started bitbake server") == 1
    finally:
        build.run("--kill-server", **stay)
        build.wait()


def test_floe_that_cannot_be_imported(build: bed.Build, tmp_path: Path, bitbake: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(bitbake, broken, symlinks=True)
    (broken / "lib/floe.py").write_text("raise ImportError('made for another machine')\n")
    build.bitbake = broken
    text = build.run("-p")
    assert "made for another machine" in text
    assert not build.regions()


def test_a_bitbake_that_reads_otherwise(build: bed.Build, tmp_path: Path, bitbake: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(bitbake, other, symlinks=True)
    cache = other / "lib/bb/cache.py"
    text = cache.read_text()
    line = "cachedata.pkg_fn[fn] = self.pn\n"
    assert text.count(line) == 1
    cache.write_text(text.replace(line, "cachedata.pkg_fn[fn] = str(self.pn)\n"))
    build.bitbake = other
    assert "warm: not in use" in build.run("-p")
    assert not build.regions()
    cache.write_text(text.replace(line, f"# a comment\n        {line}"))
    assert "not in use" not in build.run("-p")
    assert build.regions()


def test_files_for_workers_go_with_the_cooker(build: bed.Build) -> None:
    build.tasks("-n", "part24")
    assert not list((build.top / "tmp/cache").glob("floe-sent*"))
