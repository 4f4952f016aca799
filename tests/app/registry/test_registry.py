from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.errors import InvalidRequest, UnknownModel, UnknownVersion
from app.registry.recovery import submitter_of
from app.registry.registry import Registry
from app.settings import bundled_models
from pricing.errors import InvalidSpec
from surrogate.artifact.files import MODEL, Artifact, read, verify, write
from surrogate.errors import CorruptArtifact

BUNDLED = read(bundled_models() / "bachelier-basket-7" / "1")
KILLER = Path(__file__).parent / "publish_and_die.py"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def plain(content: bytes) -> Artifact:
    """What the registry stores need not be a model."""
    return replace(BUNDLED, model=content)


def test_versions_count_up_and_are_complete(registry: Registry) -> None:
    assert registry.names() == []
    assert [registry.publish("basket", plain(name.encode()), job_id=name) for name in "abc"] == [1, 2, 3]
    assert registry.names() == ["basket"]
    assert registry.versions("basket") == [1, 2, 3]
    assert read(registry.folder("basket", 2)) == plain(b"b")


def test_a_job_publishes_once(registry: Registry) -> None:
    assert registry.publish("basket", plain(b"first"), job_id="job") == 1
    assert registry.publish("basket", plain(b"again"), job_id="job") == 1
    assert registry.versions("basket") == [1]
    assert read(registry.folder("basket", 1)).model == b"first"


def test_who_ordered_a_version_is_kept_beside_it(registry: Registry) -> None:
    registry.publish("basket", plain(b"first"), job_id="1", submitter="user a, command line")
    registry.publish("basket", plain(b"second"), job_id="2")
    folders = [registry.folder("basket", version) for version in (1, 2)]
    assert [submitter_of(folder) for folder in folders] == ["user a, command line", None]
    assert verify(folders[0])  # it is none of the files that were made
    assert submitter_of(folders[0].parent) is None


def test_publishing_moves_latest_and_not_champion(registry: Registry) -> None:
    registry.publish("basket", plain(b"1"), job_id="1")
    assert registry.aliases("basket") == {"champion": 1, "latest": 1}
    registry.publish("basket", plain(b"2"), job_id="2")
    assert registry.aliases("basket") == {"champion": 1, "latest": 2}
    registry.set_alias("basket", "champion", "latest")
    registry.set_alias("basket", "shadow", 1)
    registry.set_alias("basket", "shadow", 2)
    assert registry.aliases("basket") == {"champion": 2, "latest": 2, "shadow": 2}
    assert [registry.resolve("basket", version) for version in (1, "1", "shadow")] == [1, 1, 2]


@pytest.mark.parametrize("version", [0, 3, -1, "3", "0", "01", "none", "", "9" * 5000, "1e0", "../1"])
def test_unknown_versions_are_refused(registry: Registry, version: int | str) -> None:
    registry.publish("basket", plain(b"1"), job_id="1")
    registry.publish("basket", plain(b"2"), job_id="2")
    with pytest.raises(UnknownVersion, match="versions 1 to 2 and aliases champion, latest"):
        registry.resolve("basket", version)


def test_unknown_models_are_refused(registry: Registry) -> None:
    with pytest.raises(UnknownModel, match="no models yet"):
        registry.resolve("basket", "champion")
    registry.publish("basket", plain(b"1"), job_id="1")
    with pytest.raises(UnknownModel, match="'other'; the registry has basket"):
        registry.versions("other")


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".staging", "A", "a" * 65, "a..b", "a\n"])
def test_names_cannot_leave_the_root(registry: Registry, name: str) -> None:
    with pytest.raises(InvalidSpec, match="name must be"):
        registry.publish(name, plain(b"1"), job_id="1")
    assert registry.names() == []


@pytest.mark.parametrize("alias", ["latest", "1", "", "a/b", "Champion", "a" * 65])
def test_aliases_are_words_and_latest_is_derived(registry: Registry, alias: str) -> None:
    registry.publish("basket", plain(b"1"), job_id="1")
    with pytest.raises(InvalidRequest, match="alias must be"):
        registry.set_alias("basket", alias, 1)


def test_an_alias_needs_its_version(registry: Registry) -> None:
    registry.publish("basket", plain(b"1"), job_id="1")
    with pytest.raises(UnknownVersion):
        registry.set_alias("basket", "champion", 2)
    assert registry.aliases("basket")["champion"] == 1


def test_commits_of_others_are_seen_at_once(registry: Registry) -> None:
    other = Registry(registry.root)
    assert registry.names() == []
    other.publish("basket", plain(b"1"), job_id="1")
    assert registry.resolve("basket", "latest") == 1
    other.publish("basket", plain(b"2"), job_id="2")
    other.set_alias("basket", "champion", 2)
    assert registry.aliases("basket") == {"champion": 2, "latest": 2}


def test_publishers_at_once_get_one_version_each(tmp_path: Path) -> None:
    """Each thread opens the registry itself, as processes do; the first ones also race to create it."""

    def publish(job: int) -> int:
        registry = Registry(tmp_path / "registry")
        version = registry.publish("basket", plain(str(job).encode()), job_id=str(job))
        registry.close()
        return version

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(publish, [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3]))
    assert sorted(versions[:8]) == list(range(1, 9))
    assert versions[8:] == versions[:4]
    registry = Registry(tmp_path / "registry")
    assert [read(registry.folder("basket", versions[job])).model for job in range(8)] == [b"%d" % j for j in range(8)]


def test_a_kill_at_any_point_of_a_publish_leaves_one_whole_version() -> None:
    """The script dies by SIGKILL before each system call and each SQL statement of a publish in turn; see there."""
    result = subprocess.run([sys.executable, str(KILLER)], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    before, between, after = map(int, result.stdout.split())
    assert before >= 10  # killed before the rename: nothing visible
    assert between >= 1  # killed between rename and commit: a folder that no row names
    assert after >= 1  # the last one is not killed


def test_seed_imports_once_and_in_order(registry: Registry, tmp_path: Path) -> None:
    for version in (1, 2, 10):
        folder = tmp_path / "bundled" / "basket" / str(version)
        folder.mkdir(parents=True)
        write(plain(str(version).encode()), folder)
    for _ in range(2):
        registry.seed(tmp_path / "bundled")
    assert registry.versions("basket") == [1, 2, 3]
    assert read(registry.folder("basket", 3)).model == b"10"
    assert verify(registry.folder("basket", 1)) == verify(tmp_path / "bundled" / "basket" / "1")


def test_seed_refuses_altered_files(registry: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "bundled" / "basket" / "1"
    folder.mkdir(parents=True)
    write(plain(b"model"), folder)
    (folder / MODEL).write_bytes(b"other")
    with pytest.raises(CorruptArtifact, match=MODEL):
        registry.seed(tmp_path / "bundled")
    assert registry.names() == []


def test_seed_of_a_missing_folder_is_nothing(registry: Registry, tmp_path: Path) -> None:
    registry.seed(tmp_path / "absent")
    assert registry.names() == []


def test_a_publish_between_two_reads_of_the_catalogue_does_no_harm(tmp_path: Path) -> None:
    reader, writer = Registry(tmp_path / "registry"), Registry(tmp_path / "registry")
    published: list[int] = []

    @sa.event.listens_for(reader._engine, "after_cursor_execute")
    def publish(*_: object) -> None:
        if not published:
            published.append(writer.publish("basket", plain(b"1"), job_id="1"))

    assert reader.names() == ["basket"]
    assert reader.aliases("basket") == {"champion": 1, "latest": 1}
