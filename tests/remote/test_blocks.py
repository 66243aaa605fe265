"""The block cache: whole blocks or none, each fetched once, and never more of them than the bound says."""

import multiprocessing
import random
from pathlib import Path

import fsspec
import pytest

from robomix.errors import ConfigError
from robomix.remote import blocks
from robomix.remote.blocks import BlockCache, block_cache
from robomix.remote.counts import counts
from robomix.remote.opening import RangeFile
from robomix.remote.sizes import parse_size
from robomix.remote.stores import FarFile, store_of

BLOCK = 1000
CONTENT = random.Random(0).randbytes(BLOCK * 50 + 123)


@pytest.fixture
def small(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are small, and the cache holds ten of them."""
    monkeypatch.setattr(blocks, "BLOCK", BLOCK)
    monkeypatch.setenv("ROBOMIX_REMOTE_CACHE", "10100")


@pytest.fixture
def far(small: None, tmp_path: Path) -> FarFile:
    """A file far away with CONTENT."""
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "video.mp4").write_bytes(CONTENT)
    return far_file(tmp_path)


def far_file(folder: Path) -> FarFile:
    url = f"file://{folder}/far"
    return store_of(url).files(url)["video.mp4"]


def held(cache: BlockCache) -> int:
    """Bytes of all blocks on disk."""
    return sum(path.stat().st_size for path in cache.folder.glob("??/*"))


def fetched(cache: BlockCache, file: FarFile, first: int, last: int) -> int:
    """How many blocks had to be fetched to read these; they are checked."""
    before = counts.fetched
    assert b"".join(cache.read(file, first, last)) == CONTENT[first * BLOCK : (last + 1) * BLOCK]
    return counts.fetched - before


@pytest.mark.parametrize(
    ("text", "size"), [("20GB", 20 * 10**9), ("1.5g", 1500000000), ("500 M", 5 * 10**8), ("2KiB", 2048), ("77", 77)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text, "it") == size


def test_a_bound_that_is_no_size_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOMIX_REMOTE_CACHE", "much")
    with pytest.raises(ConfigError, match="ROBOMIX_REMOTE_CACHE is 'much', expected a size such as 20GB"):
        block_cache()


def test_a_block_is_fetched_once(far: FarFile) -> None:
    cache = block_cache()
    assert fetched(cache, far, 48, 50) == 3
    assert fetched(cache, far, 49, 50) == 0
    assert fetched(cache, far, 47, 50) == 1


@pytest.mark.parametrize("harm", [lambda data: data[:-1], lambda data: b"", lambda data: b"?" + data[1:]])
def test_a_truncated_or_damaged_block_is_fetched_again(far: FarFile, harm) -> None:
    cache = block_cache()
    fetched(cache, far, 0, 2)
    place = next(cache.folder.glob("??/*-1"))
    place.write_bytes(harm(place.read_bytes()))
    assert fetched(cache, far, 0, 2) == 1
    assert fetched(cache, far, 0, 2) == 0


def test_the_bound_holds_and_the_least_recently_used_go(far: FarFile) -> None:
    cache = block_cache()
    for n in range(9):
        fetched(cache, far, n, n)
    assert fetched(cache, far, 0, 0) == 0  # now the last to go
    for n in range(20, 25):
        fetched(cache, far, n, n)
        assert held(cache) <= cache.bound
    assert fetched(cache, far, 0, 0) == 0
    assert fetched(cache, far, 1, 1) == 1


def test_random_reading_never_exceeds_the_bound(far: FarFile) -> None:
    cache, rng = block_cache(), random.Random(1)
    for _ in range(200):
        first = rng.randrange(50)
        fetched(cache, far, first, min(50, first + rng.randrange(4)))
        assert held(cache) <= cache.bound
    assert held(cache) > cache.bound // 2


def test_a_request_larger_than_the_cache_is_read_without_it(far: FarFile) -> None:
    cache = block_cache()
    assert fetched(cache, far, 0, 31) == 32
    assert held(cache) == 0


@pytest.mark.parametrize("ledger", ["", "nonsense", "0", "999999999"])
def test_a_wrong_ledger_is_corrected(far: FarFile, ledger: str) -> None:
    cache = block_cache()
    fetched(cache, far, 0, 8)
    (cache.folder / "ledger").write_text(ledger)
    for n in range(9, 40):
        fetched(cache, far, n, n)
    assert held(cache) <= cache.bound + (9 * (BLOCK + 4) if ledger == "0" else 0)


def test_eviction_while_a_file_is_read_is_harmless(far: FarFile) -> None:
    opened = RangeFile(far)
    assert opened.read(10) == CONTENT[:10]
    for block in block_cache().folder.glob("??/*"):
        block.unlink()
    opened.seek(BLOCK - 5)
    assert opened.read(10) == CONTENT[BLOCK - 5 : BLOCK + 5]


def test_reading_anywhere_gives_the_files_bytes(far: FarFile) -> None:
    opened, rng = RangeFile(far), random.Random(2)
    for _ in range(100):
        start, count = rng.randrange(len(CONTENT) + 100), rng.randrange(5000)
        assert opened.seek(start) == opened.tell() == start
        assert opened.read(count) == CONTENT[start : start + count]
    assert opened.seek(-7, 2) == len(CONTENT) - 7
    assert opened.read() == CONTENT[-7:]


def test_missing_neighbours_come_by_one_request(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/blocks/a.mp4", CONTENT)
    store = store_of("memory://blocks")
    file = store.files("memory://blocks")["a.mp4"]
    asked: list[tuple[int, int]] = []
    read = type(store).read
    monkeypatch.setattr(type(store), "read", lambda *args: asked.append(args[2:]) or read(*args))
    cache = block_cache()
    cache.read(file, 3, 3)
    cache.read(file, 1, 6)
    assert asked == [(3000, 4000), (1000, 3000), (4000, 7000)]
    cache.hold(file, [0, 1, 7, 8, 9])
    assert asked[3:] == [(0, 1000), (7000, 10000)]


def read_all(folder: str, barrier, fetched_blocks) -> None:
    """In another process: read the whole file in a random order."""
    blocks.BLOCK = BLOCK
    file, order = far_file(Path(folder)), list(range(51))
    random.Random(0).shuffle(order)
    barrier.wait()
    for n in order:
        assert block_cache().read(file, n, n) == [CONTENT[n * BLOCK : (n + 1) * BLOCK]]
    with fetched_blocks:
        fetched_blocks.value += counts.fetched


def test_two_processes_fetch_each_block_once(far: FarFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOMIX_REMOTE_CACHE", "1M")
    context = multiprocessing.get_context("spawn")
    barrier, total = context.Barrier(2), context.Value("q", 0)
    processes = [context.Process(target=read_all, args=(str(tmp_path), barrier, total)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert total.value == 51
