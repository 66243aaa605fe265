"""A dataset far away is the dataset: the same fingerprint, numbers and frames; and its mirror is kept up to date."""

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix import open_dataset
from robomix.cli.main import main
from robomix.errors import FormatError, RemoteError
from robomix.files import damage
from robomix.formats import Dataset
from robomix.remote import mirror
from robomix.remote.counts import counts
from robomix.remote.mirror import mirrored
from robomix.remote.places import mirrors, url_of
from robomix.remote.stand_in import far_file, write_stand_in
from robomix.remote.stores import FarFile
from robomix.video.timeline import open_video
from tests.fixtures import write_v20, write_v21, write_v30
from tests.hdf5_files import write_aloha, write_robomimic
from tests.remote.storage import Storage
from tests.rlds_files import write_rlds


def assert_equal(one: Dataset, two: Dataset) -> None:
    """The datasets hold the same, bit for bit."""
    assert one.fingerprint == two.fingerprint
    assert (one.format, one.fps, one.tasks, dict(one.features)) == (two.format, two.fps, two.tasks, dict(two.features))
    np.testing.assert_array_equal(one.episodes.starts, two.episodes.starts)
    for key, feature in one.features.items():
        rows = np.random.default_rng(0).integers(0, one.num_frames, 20)
        if feature.is_camera:
            np.testing.assert_array_equal(one.read_frames(key, rows), two.read_frames(key, rows))
        elif feature.kind == "numeric":
            np.testing.assert_array_equal(one.column(key), two.column(key))


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A dataset of this machine, with two cameras."""
    cameras = {"observation.images.top": (32, 48), "observation.images.wrist": (32, 48)}
    write_v30(tmp_path / "local" / "pick", cameras=cameras, episodes_per_video_file=2)
    return tmp_path / "local" / "pick"


@pytest.fixture
def url(s3: Storage, local: Path, tmp_path: Path) -> str:
    """The same far away."""
    return s3.put(local, "bucket", f"{tmp_path.name}/pick")


WRITERS: dict[str, Callable[[Path], Any]] = {
    "v20": write_v20,
    "v21": write_v21,
    "v30": write_v30,
    "B-frames": lambda path: write_v30(path, b_frames=2, gop=12, lengths=(20, 30)),
    "pictures": lambda path: write_v30(path, storage="image"),
    "aloha": write_aloha,
    "robomimic": lambda path: write_robomimic(path / "demo.hdf5"),
    "rlds": write_rlds,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_reads_from_s3_as_from_here(s3: Storage, tmp_path: Path, name: str) -> None:
    place = tmp_path / "here" / "set"
    place.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place) if name != "robomimic" else None
    WRITERS[name](place)
    url = s3.put(place, "bucket", f"{tmp_path.name}/set")
    fps = {"rlds": 10, "robomimic": 20, "aloha": 50}.get(name)
    assert_equal(open_dataset(place, fps=fps), open_dataset(url, fps=fps))


def test_videos_are_stand_ins_of_their_size(url: str, local: Path, s3: Storage) -> None:
    copy = mirrored(url)
    for path in sorted(local.rglob("*.mp4")):
        place = copy / path.relative_to(local)
        assert place.stat().st_size == path.stat().st_size
        assert far_file(place) is not None
        assert damage(place) is not None
        assert "is a stand-in for a video far away" in str(damage(place))
        assert not s3.line.gets(path.name), "no byte of it has come"
    assert url_of(copy / "meta" / "info.json") == f"{url}/meta/info.json"
    assert url_of(local) is None


def test_other_videos_far_away_are_of_the_same_size_but_not_equal(url: str, local: Path, s3: Storage) -> None:
    """The frames come from far away, not from a copy that lies about."""
    video = next(local.rglob("*top*/**/*.mp4"))
    with open_video(mirrored(url) / video.relative_to(local)) as container:
        assert container.name == f"{url}/{video.relative_to(local)}"


def test_nothing_is_fetched_a_second_time(url: str, s3: Storage) -> None:
    first = open_dataset(url)
    first.read_frames("observation.images.top", np.arange(15))
    seen, before = len(s3.line.requests), counts.bytes
    second = open_dataset(url)
    second.read_frames("observation.images.top", np.arange(15))
    assert counts.bytes == before
    assert [method for method, _, _ in s3.line.requests[seen:]] == ["GET"], "only the listing"


def test_what_changes_far_away_is_fetched_anew(url: str, local: Path, s3: Storage, tmp_path: Path) -> None:
    before = open_dataset(url)
    shutil.rmtree(local)
    write_v30(local, seed=1, lengths=(4, 6))
    for entry in s3.client.list_objects_v2(Bucket="bucket", Prefix=f"{tmp_path.name}/pick")["Contents"]:
        s3.client.delete_object(Bucket="bucket", Key=entry["Key"])
    s3.put(local, "bucket", f"{tmp_path.name}/pick")
    after = open_dataset(url)
    assert_equal(after, open_dataset(local))
    assert after.fingerprint != before.fingerprint
    files = {path.relative_to(after.path) for path in after.path.rglob("*") if path.is_file()}
    assert files == {path.relative_to(local) for path in local.rglob("*") if path.is_file()}


def test_a_video_that_changes_while_frames_are_read_is_an_error(url: str, local: Path, s3: Storage) -> None:
    dataset = open_dataset(url)
    place = next(local.rglob("*top*/**/*.mp4"))
    key = f"{url.removeprefix('s3://bucket/')}/{place.relative_to(local)}"
    s3.client.put_object(Bucket="bucket", Key=key, Body=place.read_bytes()[::-1])
    for folder in mirrors().parent.glob("blocks/??"):
        shutil.rmtree(folder)
    with pytest.raises(RemoteError, match=f"{url}/videos.*has changed since it was listed. Start again"):
        dataset.read_frames("observation.images.top", np.arange(3))


def test_a_download_that_broke_off_goes_on(url: str, s3: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "_PIECE", 2000)
    s3.line.faults += [("data/chunk-000/file-000.parquet?", "")] * 2 + [("data/chunk-000/file-000.parquet?", "503")] * 4
    with pytest.raises(RemoteError, match="failed 4 times"):
        mirrored(url)
    got = s3.line.gets("data/chunk-000")
    assert got[:2] == ["bytes=0-1999", "bytes=2000-3999"]
    assert set(got[2:]) == {"bytes=4000-5999"}
    done = set(s3.line.gets("meta/info.json"))
    s3.line.requests.clear()
    mirrored(url)
    assert s3.line.gets("data/chunk-000")[0] == "bytes=4000-5999"
    assert done
    assert not s3.line.gets("meta/info.json"), "what had come was fetched again"


def test_a_file_damaged_in_the_mirror_is_fetched_again(url: str, local: Path) -> None:
    place = mirrored(url) / "meta" / "info.json"
    place.write_bytes(b"")
    mirrored(url)
    assert json.loads(place.read_text()) == json.loads((local / "meta" / "info.json").read_text())


def open_far(url: str, barrier, lines) -> None:
    barrier.wait()
    dataset = open_dataset(url)
    lines.put((dataset.fingerprint, counts.bytes))


def test_two_processes_make_one_mirror(url: str, local: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, lines = context.Barrier(2), context.Queue()
    processes = [context.Process(target=open_far, args=(url, barrier, lines)) for _ in range(2)]
    for process in processes:
        process.start()
    results = [lines.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert {fingerprint for fingerprint, _ in results} == {open_dataset(local).fingerprint}
    tables = sum(path.stat().st_size for path in local.rglob("*") if path.is_file() and path.suffix != ".mp4")
    videos = sum(path.stat().st_size for path in local.rglob("*.mp4"))
    assert tables < sum(count for _, count in results) <= tables + videos, "the tables came once"


def test_hidden_files_and_marks_of_folders_are_left_out(url: str, s3: Storage, local: Path) -> None:
    for name in (".gitattributes", "meta/.DS_Store", "empty/"):
        s3.client.put_object(Bucket="bucket", Key=f"{url.removeprefix('s3://bucket/')}/{name}", Body=b"")
    assert_equal(open_dataset(url), open_dataset(local))


def test_a_name_that_leads_out_of_the_folder_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from robomix.remote.stores import Store

    info = {"name": "/x/../../evil", "size": 1, "type": "file", "created": 1.0}
    monkeypatch.setattr(Store, "_find", lambda *_: {"../../evil": info})
    with pytest.raises(RemoteError, match=r"'\.\./\.\./evil', whose name leads out of its folder"):
        mirrored("memory://x/set")


def test_errors_name_the_url(url: str, s3: Storage) -> None:
    s3.client.put_object(Bucket="bucket", Key=f"{url.removeprefix('s3://bucket/')}/meta/info.json", Body=b"{")
    with pytest.raises(FormatError, match=rf"^{url}/meta/info.json is not valid JSON"):
        open_dataset(url)


@pytest.mark.parametrize("verb", [["inspect"], ["check", "--decode"]])
def test_verbs_take_urls(url: str, verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb[0], url, *verb[1:]]) == 0
    printed = capsys.readouterr().out
    assert url in printed
    assert str(mirrors()) not in printed


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, s3: Storage, url: str, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path / "file"))
    with pytest.raises(Exception, match="Point the environment variable ROBOMIX_CACHE"):
        open_dataset(url)
    assert os.path.isfile(tmp_path / "file")


def test_a_stand_in_that_a_dataset_brings_along_is_not_followed(tmp_path: Path, cache: Path) -> None:
    """Data is untrusted: a file of it must not make robomix read another file, or the network."""
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"x" * 5000)
    write_v30(tmp_path / "set")
    video = next((tmp_path / "set").rglob("*.mp4"))
    write_stand_in(video, FarFile(f"file://{secret}", 5000, ""))
    assert far_file(video) is None
    with pytest.raises(FormatError, match="is a stand-in for a video far away, not the video itself"):
        open_video(video)
    with pytest.raises(FormatError, match=f"^file://{tmp_path}/set/videos/.* cannot be opened as a video"):
        open_video(mirrored(f"file://{tmp_path}/set") / video.relative_to(tmp_path / "set"))
