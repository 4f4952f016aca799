"""Whatever becomes of the database, the folders of versions are all there and say what their rows said."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import resource
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from app.errors import InvalidRequest, RegistryUnavailable, StorageFull
from app.registry import recovery
from app.registry.database import DATABASE, HEAD, available
from app.registry.registry import Registry
from app.settings import bundled_models
from surrogate.artifact.files import SUMS, Artifact, read, verify
from surrogate.errors import CorruptArtifact

BUNDLED = read(bundled_models() / "bachelier-basket-7" / "1")
Loss = Callable[[Path], None]


def plain(content: bytes) -> Artifact:
    return replace(BUNDLED, model=content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three versions of one name and one of another, with aliases that somebody has moved; nobody has it open."""
    root = tmp_path / "registry"
    with closing(Registry(root)) as registry:
        for name in ("1", "2", "3"):
            registry.publish("basket", plain(name.encode()), job_id=name)
        registry.publish("other", plain(b"1"), job_id="other")
        registry.set_alias("basket", "champion", 2)
        registry.set_alias("basket", "shadow", 3)
    return root


def execute(*statements: str) -> Loss:
    def lose(root: Path) -> None:
        with closing(sqlite3.connect(root / DATABASE)) as database, database:
            for statement in statements:
                database.execute(statement)

    return lose


def delete(*endings: str) -> Loss:
    def lose(root: Path) -> None:
        for ending in endings:
            (root / (DATABASE + ending)).unlink(missing_ok=True)

    return lose


LOSSES = {
    "nothing": execute(),
    "the database": delete(""),
    "the database and its log": delete("", "-wal", "-shm", ".lock"),
    "the content of the database": lambda root: (root / DATABASE).write_bytes(b""),
    "every row": execute("DELETE FROM alias", "DELETE FROM model_version"),
    "some rows": execute("DELETE FROM alias WHERE version = 3", "DELETE FROM model_version WHERE version IN (1, 3)"),
    "rows that aliases name": execute("DELETE FROM model_version WHERE version > 1"),
    "aliases": execute("DELETE FROM alias"),
    "the layout's number": execute("DROP TABLE alias", "DROP TABLE model_version", "DROP TABLE alembic_version"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_start_brings_back_what_was_lost(root: Path, loss: str) -> None:
    with closing(Registry(root)) as registry:
        before, published = registry.catalogue(), registry.model("basket").versions
    LOSSES[loss](root)
    with closing(Registry(root)) as registry:
        assert registry.catalogue() == before
        assert registry.model("basket").versions == published
        assert registry.publish("basket", plain(b"again"), job_id="2") == 2
        assert registry.publish("basket", plain(b"4"), job_id="4") == 4
        models = [read(registry.folder("basket", number)).model for number in registry.versions("basket")]
    assert models == [b"1", b"2", b"3", b"4"]


def test_what_was_recovered_is_told(root: Path) -> None:
    with capture_logs() as quiet, closing(Registry(root)) as registry:
        assert registry.recovered == ()
    assert quiet == []
    LOSSES["some rows"](root)
    with capture_logs() as told, closing(Registry(root)) as registry:
        assert registry.recovered == ("basket@1", "basket@3", "other@1")
    assert {line["event"] for line in told} == {"state changed"}
    assert [(line["what"], line["to"]) for line in told] == [
        ("version basket@1", "published"),
        ("version basket@3", "published"),
        ("version other@1", "published"),
        ("alias shadow of basket", 3),
    ]


def test_a_program_without_a_log_hears_nothing(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    structlog.reset_defaults()
    LOSSES["every row"](root)
    with closing(Registry(root)) as registry:
        registry.publish("basket", plain(b"4"), job_id="4")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("copy", ["copy/1", "basket/7", "aaa/1", "copy/1 copy/2 basket/8"])
@pytest.mark.parametrize("loss", ["the database and its log", "every row", "nothing"])
def test_a_copy_of_a_folder_is_passed_over_and_everything_else_served(
    root: Path, tmp_path: Path, copy: str, loss: str
) -> None:
    bundled = tmp_path / "bundled"
    shutil.copytree(bundled_models() / "bachelier-basket-7" / "1", bundled / "bachelier-basket-7" / "1")
    with closing(Registry(root)) as registry:
        registry.seed(bundled)
        before = registry.catalogue()
    original = root / "bachelier-basket-7" / "1"
    copies = [root / each.replace("basket", "bachelier-basket-7") for each in copy.split()]
    for each in copies:
        shutil.copytree(original, each)
    LOSSES[loss](root)
    with capture_logs() as told, closing(Registry(root)) as registry:
        registry.seed(bundled)
        assert registry.catalogue() == before
    passed_over = [(line["folder"], line["copy_of"]) for line in told if line["event"] == "folder passed over"]
    assert loss == "nothing" or sorted(passed_over) == sorted((str(each), str(original)) for each in copies)
    assert all(each.is_dir() for each in copies)


def test_a_copy_that_an_earlier_release_has_registered_keeps_nothing_from_starting(root: Path) -> None:
    """The copy has the name that the bundled model of this content is published by."""
    bundled = bundled_models()
    sums = (bundled / "bachelier-basket-7" / "1" / SUMS).read_bytes()
    taken = f"bundled:bachelier-basket-7:{hashlib.sha256(sums).hexdigest()}"
    with closing(Registry(root)) as registry:
        registry.seed(bundled)
    execute(
        "UPDATE model_version SET job_id = 'recovered' WHERE name = 'bachelier-basket-7'",
        f"UPDATE model_version SET job_id = '{taken}' WHERE name = 'other'",
    )(root)
    with capture_logs() as told, closing(Registry(root)) as registry:
        registry.seed(bundled)
        assert registry.versions("bachelier-basket-7") == [1]
    assert [line["copy_of"] for line in told] == ["other@1"]


def test_a_job_publishes_one_name(root: Path) -> None:
    with closing(Registry(root)) as registry, pytest.raises(InvalidRequest, match="has published other@1"):
        registry.publish("basket", plain(b"4"), job_id="other")


def scribble(root: Path) -> None:
    """Bytes of chance over the first pages, as `dd` writes them."""
    with (root / DATABASE).open("r+b") as file:
        file.write(random.Random(1).randbytes(8 * 4096))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "the first pages": scribble,
    "all of it": lambda root: (root / DATABASE).write_bytes(random.Random(2).randbytes(1 << 15)),
    "its end": lambda root: os.truncate(root / DATABASE, 4096),
    "nothing left": lambda root: os.truncate(root / DATABASE, 0),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_database_damaged_under_an_open_registry_refuses_writes_and_keeps_prices(root: Path, damage: str) -> None:
    with closing(Registry(root)) as registry:
        before = registry.catalogue()
        DAMAGES[damage](root)
        for write in (
            registry.require_present,
            lambda: registry.set_alias("basket", "champion", 1),
            lambda: registry.publish("basket", plain(b"4"), job_id="4"),
        ):
            with pytest.raises(RegistryUnavailable, match="moved away is rebuilt"):
                write()
        assert (registry.resolve("basket", "champion"), registry.resolve("basket", 3)) == (2, 3)
        assert registry.catalogue() == before
    for ending in ("", "-wal", "-shm"):
        (root / (DATABASE + ending)).unlink(missing_ok=True)
    with closing(Registry(root)) as registry:
        assert registry.catalogue() == before


def test_a_request_waits_two_seconds_for_a_lock_and_prices_do_not_wait(root: Path) -> None:
    with closing(Registry(root)) as registry, closing(sqlite3.connect(root / DATABASE)) as holder:
        assert registry.resolve("basket", "champion") == 2
        holder.isolation_level = None
        holder.execute("BEGIN EXCLUSIVE")
        start = time.monotonic()
        assert registry.resolve("basket", "champion") == 2
        assert time.monotonic() - start < 1.0
        with pytest.raises(RegistryUnavailable, match="locked"):
            registry.set_alias("basket", "champion", 1)
        assert time.monotonic() - start < 8.0
        holder.execute("ROLLBACK")


@pytest.mark.parametrize("loss", ["every row", "some rows", "aliases"])
def test_rows_lost_under_an_open_registry_are_back_at_its_next_publish(root: Path, loss: str) -> None:
    with closing(Registry(root)) as registry:
        before = registry.catalogue()[0]
        LOSSES[loss](root)
        assert registry.publish("basket", plain(b"4"), job_id="4") == 4
        after = registry.catalogue()[0]
    assert after["versions"] == [*before["versions"], 4]
    assert after["aliases"] == before["aliases"] | {"latest": 4}


@pytest.mark.parametrize("loss", ["the database", "the database and its log", "replaced", "the folder"])
def test_a_registry_whose_database_is_gone_refuses_writes(root: Path, loss: str) -> None:
    with closing(Registry(root)) as registry:
        registry.require_present()
        assert registry.resolve("basket", "champion") == 2
        if loss == "replaced":
            shutil.copy(root / DATABASE, root / "copy")
            (root / "copy").replace(root / DATABASE)
        elif loss == "the folder":
            root.rename(root.with_name("elsewhere"))
        else:
            LOSSES[loss](root)
        for write in (
            registry.require_present,
            lambda: registry.publish("basket", plain(b"4"), job_id="4"),
            lambda: registry.set_alias("basket", "champion", 1),
        ):
            with pytest.raises(RegistryUnavailable, match="put it back, or restart"):
                write()
        assert registry.resolve("basket", "champion") == 2  # what was read is still answered
    assert not (root / "basket" / "4").exists()


def test_a_folder_that_is_no_complete_version_is_passed_over(root: Path) -> None:
    LOSSES["the database"](root)
    (root / "basket" / "2" / "model.onnx").unlink()
    (root / "basket" / "3" / SUMS).unlink()
    (root / "basket" / "7").mkdir()
    (root / "basket" / "8").write_bytes(b"no folder")
    (root / "basket" / "009").mkdir()
    left = sorted(path.relative_to(root) for path in (root / "basket").rglob("*"))
    with closing(Registry(root)) as registry:
        assert registry.versions("basket") == [1]
        assert registry.aliases("basket") == {"champion": 1, "latest": 1}
        assert registry.publish("basket", plain(b"9"), job_id="9") == 9
    after = {path.relative_to(root) for path in (root / "basket").rglob("*")}
    assert after >= set(left)


def test_a_damaged_version_keeps_its_row_and_says_so(root: Path) -> None:
    LOSSES["the database"](root)
    (root / "basket" / "2" / "model.onnx").write_bytes(b"damaged")
    with closing(Registry(root)) as registry:
        assert registry.versions("basket") == [1, 2, 3]
        with pytest.raises(CorruptArtifact, match="differs from its hash"):
            verify(registry.folder("basket", 2))


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"champion": "2"}', b'{"champion": 9, "latest": 1, "X": 1}'])
def test_without_a_file_of_aliases_champion_is_the_oldest_version(root: Path, content: bytes | None) -> None:
    path = root / "basket" / recovery.ALIASES_FILE
    path.unlink() if content is None else path.write_bytes(content)
    LOSSES["the database"](root)
    with closing(Registry(root)) as registry:
        assert registry.aliases("basket") == {"champion": 1, "latest": 3}


def test_folders_of_an_earlier_release_are_recovered(root: Path, tmp_path: Path) -> None:
    """They do not say by which job they were published; bundled content is known again by its hash."""
    bundled = tmp_path / "bundled" / "basket"
    shutil.copytree(root / "basket" / "1", bundled / "1")
    for record in [*root.rglob(recovery.RECORD), *bundled.rglob(recovery.RECORD)]:
        record.unlink()
    shutil.copytree(root / "basket" / "1", root / "basket" / "4")  # the same bytes were published twice
    LOSSES["the database"](root)
    with closing(Registry(root)) as registry:
        registry.seed(bundled.parent)
        assert registry.versions("basket") == [1, 2, 3, 4]


def test_aliases_of_an_earlier_release_are_written_down_at_its_first_start(root: Path) -> None:
    (root / "basket" / recovery.ALIASES_FILE).unlink()
    Registry(root).close()
    LOSSES["the database"](root)
    with closing(Registry(root)) as registry:
        assert registry.aliases("basket") == {"champion": 2, "latest": 3, "shadow": 3}


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (execute("UPDATE alembic_version SET version_num = '9999'"), f"layouts up to {HEAD}"),
        (lambda root: (root / DATABASE).write_bytes(b"no database at all, but bytes" * 99), "not a database"),
        (lambda root: (root / DATABASE).write_bytes((root / DATABASE).read_bytes()[:5000]), "moved away is rebuilt"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_and_rebuilt_when_moved_away(
    root: Path, damage: Loss, sentence: str
) -> None:
    with closing(Registry(root)) as registry:
        before = registry.catalogue()
    damage(root)
    with pytest.raises(RegistryUnavailable, match=sentence):
        Registry(root)
    (root / DATABASE).rename(root / "damaged")
    with closing(Registry(root)) as registry:
        assert registry.catalogue() == before


def test_a_full_disk_publishes_nothing_and_says_so(root: Path) -> None:
    """The limit of a file's size stands for a disk's; the errors take the same way."""
    with closing(Registry(root)) as registry:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
        try:
            with pytest.raises(StorageFull, match="free some space"):
                registry.publish("basket", plain(bytes(2 << 20)), job_id="large")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert registry.versions("basket") == [1, 2, 3]
        assert registry.publish("basket", plain(b"4"), job_id="large") == 4


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "no space"), StorageFull),
        (OSError(errno.EDQUOT, "quota"), StorageFull),
        (OSError(errno.EROFS, "read-only"), RegistryUnavailable),
        (sqlite3.OperationalError("locked"), RegistryUnavailable),
    ],
)
def test_no_room_is_told_from_no_access(tmp_path: Path, error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind), available(tmp_path / DATABASE):
        raise error
