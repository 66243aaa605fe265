"""Datasets of the Hub, from a server of the tests: what is downloaded, where to, and what is said when it fails."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants

from robomix.cli.main import main
from robomix.config import MixtureConfig, SourceConfig
from robomix.errors import ConfigError, FormatError, RemoteError
from robomix.formats import Dataset
from robomix.mixture.fetching import locate
from robomix.mixture.opening import open_each
from robomix.remote import retries
from robomix.remote.counts import counts
from robomix.remote.recorded import recorded_revision
from tests.conftest import PROJECT
from tests.fixtures import Truth, row_and_camera, write_v20, write_v21, write_v30
from tests.hdf5_files import write_robomimic
from tests.hub_server import TOKEN, Fault, HubServer, folder_files
from tests.zarr_files import write_zarr

TWO_CAMERAS = {"observation.images.top": (32, 48), "observation.images.wrist": (32, 48)}
SPREAD = {"lengths": (5, 7, 3, 4), "cameras": TWO_CAMERAS, "episodes_per_data_file": 1, "episodes_per_video_file": 1}
V3 = SPREAD | {"episodes_per_meta_file": 3}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """LeRobot's folder, empty; waits between retries are none."""
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path / "lerobot"))
    monkeypatch.setattr(retries, "PAUSES", (0.0, 0.0))
    return tmp_path / "lerobot"


@pytest.fixture
def hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub without datasets, to which this process is connected."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


@pytest.fixture
def truth(hub: HubServer, tmp_path: Path) -> Truth:
    """What the dataset me/set of the Hub holds."""
    written = write_v30(tmp_path / "written", **V3)
    hub.add("me/set", folder_files(written.path) | {"README.md": b"a card"}, tags=["v3.0"])
    return written


def opened(**entry: Any) -> Dataset:
    (dataset,) = open_each(MixtureConfig.from_dict({"datasets": [entry]}), lambda dataset, _: dataset)
    return dataset


def assert_holds(dataset: Dataset, truth: Truth, episodes: list[int], cameras: list[str]) -> None:
    """The episodes of the truth, bit for bit in numbers; each frame is the one of its row."""
    rows = np.concatenate([np.arange(truth.num_frames)[truth.rows(e)] for e in episodes])
    assert dataset.episodes.ids.tolist() == [truth.episode_ids[e] for e in episodes]
    for key, values in truth.columns.items():
        np.testing.assert_array_equal(dataset.column(key), values[rows])
    for camera, key in enumerate(truth.frames):
        read = dataset.read_frames(key, np.arange(len(rows))) if key in cameras else []
        assert [row_and_camera(frame) for frame in read] == [(row, camera) for row in rows if key in cameras]


def names(files: list[str]) -> set[str]:
    """Files without their folders of chunks, as `videos/top/file-001.mp4`."""
    return {name.replace("chunk-000/", "").replace("observation.images.", "") for name in files}


DROPPED = {"observation.images.wrist": None}


def test_of_a_dataset_in_one_file_per_episode_only_what_is_used_is_downloaded(hub: HubServer, truth: Truth) -> None:
    dataset = opened(repo_id="me/set", episodes=[2, 1], feature_map=DROPPED)
    assert names(hub.fetched()) == {
        *("meta/info.json", "meta/stats.json", "meta/tasks.parquet"),
        *("meta/episodes/file-000.parquet", "meta/episodes/file-001.parquet"),
        *("data/file-001.parquet", "data/file-002.parquet", "videos/top/file-001.mp4", "videos/top/file-002.mp4"),
    }
    assert_holds(dataset, truth, [1, 2], ["observation.images.top"])


@pytest.mark.parametrize("write", [write_v20, write_v21])
def test_of_a_v2_dataset_only_what_is_used_is_downloaded(hub: HubServer, tmp_path: Path, write: Any) -> None:
    truth = write(tmp_path / "written", lengths=(5, 7, 3, 4), cameras=TWO_CAMERAS)
    hub.add("me/set", folder_files(truth.path), tags=["v2.1"])
    dataset = opened(repo_id="me/set", episodes=[1, 3], feature_map=DROPPED)
    assert names(hub.fetched(".parquet")) == {"data/episode_000001.parquet", "data/episode_000003.parquet"}
    assert names(hub.fetched(".mp4")) == {"videos/top/episode_000001.mp4", "videos/top/episode_000003.mp4"}
    assert_holds(dataset, truth, [1, 3], ["observation.images.top"])


def test_an_episode_shares_its_files_with_others_that_are_not_chosen(hub: HubServer, tmp_path: Path) -> None:
    shared = V3 | {"episodes_per_data_file": 3, "episodes_per_video_file": 2}
    truth = write_v30(tmp_path / "written", **shared)
    hub.add("me/set", folder_files(truth.path), tags=["v3.0"])
    dataset = opened(repo_id="me/set", episodes=[1])
    assert names(hub.fetched(".parquet")) >= {"data/file-000.parquet"}
    assert "data/file-001.parquet" not in names(hub.fetched())
    assert_holds(dataset, truth, [1], list(TWO_CAMERAS))


def test_a_whole_dataset_is_what_it_is_in_a_folder(hub: HubServer, truth: Truth) -> None:
    dataset = opened(repo_id="me/set")
    assert_holds(dataset, truth, [0, 1, 2, 3], list(TWO_CAMERAS))
    assert dataset.fingerprint == opened(root=str(truth.path)).fingerprint
    assert "README.md" not in hub.fetched()


def test_a_metadata_that_leads_to_no_data_file_makes_all_of_them_be_downloaded(hub: HubServer, tmp_path: Path) -> None:
    truth = write_v30(tmp_path / "written", **V3)
    files = {name.replace("data/chunk-000/file-", "data/chunk-000/part-"): data
             for name, data in folder_files(truth.path).items()}  # fmt: skip
    hub.add("me/set", files, tags=["v3.0"])
    assert_holds(opened(repo_id="me/set", episodes=[3]), truth, [3], list(TWO_CAMERAS))


def test_the_first_episodes_are_all_that_a_limit_downloads(hub: HubServer, truth: Truth) -> None:
    assert_holds(opened(repo_id="me/set", episodes=[3, 1, 2], demo_limit=2), truth, [1, 2], list(TWO_CAMERAS))
    assert "data/file-003.parquet" not in names(hub.fetched())


def test_a_second_opening_downloads_nothing_and_other_episodes_only_theirs(hub: HubServer, truth: Truth) -> None:
    first = opened(repo_id="me/set", episodes=[0])
    before = len(hub.fetched())
    assert opened(repo_id="me/set", episodes=[0]).fingerprint == first.fingerprint
    assert len(hub.fetched()) == before
    assert_holds(opened(repo_id="me/set", episodes=[0, 3]), truth, [0, 3], list(TWO_CAMERAS))
    assert names(hub.fetched()[before:]) == {"data/file-003.parquet", "videos/top/file-003.mp4",
                                             "videos/wrist/file-003.mp4"}  # fmt: skip
    again = opened(repo_id="me/set", episodes=[0])
    assert again.fingerprint == first.fingerprint
    assert again.cache_folder == first.cache_folder


def test_a_camera_that_nobody_uses_stays_declared_and_says_why_it_has_no_frames(hub: HubServer, truth: Truth) -> None:
    dataset = opened(repo_id="me/set", feature_map=DROPPED)
    assert dataset.features["observation.images.wrist"].is_camera
    with pytest.raises(FormatError, match=r"'observation.images.wrist' were not asked for, as `feature_map` drops it"):
        dataset.read_frames("observation.images.wrist", np.array([0]))


def test_a_part_arrives_as_that_part_in_other_processes(
    hub: HubServer, truth: Truth, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sent = pickle.dumps(opened(repo_id="me/set", episodes=[1], feature_map=DROPPED))
    assert_holds(pickle.loads(sent), truth, [1], ["observation.images.top"])
    dataset = pickle.loads(sent)
    shutil.rmtree(dataset.cache_folder)
    assert_holds(pickle.loads(sent), truth, [1], ["observation.images.top"])


def test_gr00t_names_are_understood(hub: HubServer, tmp_path: Path) -> None:
    truth = write_v21(tmp_path / "written", lengths=(5, 7), cameras=TWO_CAMERAS)
    modality = {"video": {"ego": {"original_key": "observation.images.top"}}}
    hub.add("me/set", folder_files(truth.path) | {"meta/modality.json": json.dumps(modality).encode()})
    dataset = opened(repo_id="me/set", episodes=[1], feature_map={"observation.images.wrist": None})
    assert dataset.read_frames("observation.images.ego", np.array([0])).shape == (1, 3, 32, 48)


def test_other_formats_are_downloaded_whole(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "written").mkdir()
    write_robomimic(tmp_path / "written" / "demo.hdf5")
    hub.add("me/demos", folder_files(tmp_path / "written") | {"README.md": b"a card"})
    theirs = opened(root=str(tmp_path / "written"), fps=20)
    ours = opened(repo_id="me/demos", fps=20)
    assert ours.fingerprint == theirs.fingerprint


def test_a_store_of_many_files_is_downloaded_whole(hub: HubServer, tmp_path: Path) -> None:
    write_zarr(tmp_path / "written" / "set.zarr")
    hub.add("me/store", folder_files(tmp_path / "written" / "set.zarr"))
    assert (
        opened(repo_id="me/store", fps=10).num_frames
        == opened(root=str(tmp_path / "written" / "set.zarr"), fps=10).num_frames
    )


def test_the_version_tag_is_taken_before_the_branch(hub: HubServer, truth: Truth) -> None:
    repo = hub.repos["datasets", "me/set"]
    repo.commit({"README.md": b"work in progress"})
    assert locate(SourceConfig(repo_id="me/set")).resolved_revision == repo.tags["v3.0"]
    assert locate(SourceConfig(repo_id="me/set", revision="main")).resolved_revision == repo.branches["main"]


def test_a_commit_is_what_it_is_without_asking(hub: HubServer, truth: Truth) -> None:
    commit = hub.repos["datasets", "me/set"].tags["v3.0"]
    found = locate(SourceConfig(repo_id="me/set", revision=commit))
    assert found.resolved_revision == commit == recorded_revision(found.path)
    hub.requests.clear()
    assert locate(SourceConfig(repo_id="me/set", revision=commit)) == found
    assert hub.requests == []


def test_a_branch_that_moves_during_the_download_does_not_mix_two_versions(hub: HubServer, truth: Truth) -> None:
    repo = hub.repos["datasets", "me/set"]
    old = repo.branches["main"]
    emptied = dict.fromkeys(repo.commits[old], b"")
    hub.faults.append(Fault("/tree/", first=lambda: repo.commit(emptied)))
    dataset = opened(repo_id="me/set", revision="main")
    assert_holds(dataset, truth, [0, 1, 2, 3], list(TWO_CAMERAS))
    assert recorded_revision(dataset.path) == old
    assert repo.branches["main"] != old


def test_without_a_connection_what_is_here_is_used(
    hub: HubServer, truth: Truth, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened(repo_id="me/set", episodes=[1])
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert_holds(opened(repo_id="me/set", episodes=[1]), truth, [1], list(TWO_CAMERAS))
    assert "me/set: the Hub cannot be asked" in caplog.text
    with pytest.raises(RemoteError, match=r"me/set: .* cannot be reached"):
        opened(repo_id="me/set", episodes=[2])
    with pytest.raises(RemoteError, match=r"me/other: http://127.0.0.1:9 cannot be reached .* Is the network up"):
        opened(repo_id="me/other")


def test_offline_nothing_is_asked(hub: HubServer, truth: Truth, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(repo_id="me/set", episodes=[1])
    hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert_holds(opened(repo_id="me/set", episodes=[1]), truth, [1], list(TWO_CAMERAS))
    with pytest.raises(ConfigError) as caught:
        opened(repo_id="me/set", episodes=[1, 2], name="mine")
    assert "source 'mine': me/set cannot be read, 3 files of commit " in str(caught.value)
    assert "data/chunk-000/file-002.parquet" in str(caught.value)
    assert f"hf download --repo-type dataset me/set --cache-dir {home / 'hub'}" in str(caught.value)
    with pytest.raises(ConfigError, match="nothing of it is on this machine, and HF_HUB_OFFLINE=1 forbids"):
        opened(repo_id="me/other", revision="v3.0")
    assert hub.requests == []


def test_a_folder_in_lerobots_home_is_used_as_it_is(hub: HubServer, truth: Truth, home: Path) -> None:
    shutil.copytree(truth.path, home / "me" / "set")
    assert opened(repo_id="me/set").path == home / "me" / "set"
    assert hub.requests == []


def test_a_root_that_is_missing_is_downloaded_into_and_completed_later(
    hub: HubServer, truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "mine"
    assert_holds(opened(repo_id="me/set", root=str(root), episodes=[0]), truth, [0], list(TWO_CAMERAS))
    assert (root / "data/chunk-000/file-000.parquet").is_file()
    assert recorded_revision(root) == hub.repos["datasets", "me/set"].tags["v3.0"]
    assert_holds(opened(repo_id="me/set", root=str(root), episodes=[2]), truth, [2], list(TWO_CAMERAS))
    assert names(hub.fetched(".parquet")) >= {"data/file-000.parquet", "data/file-002.parquet"}
    assert "data/file-001.parquet" not in names(hub.fetched())


def test_a_root_of_one_commit_is_not_taken_for_another(hub: HubServer, truth: Truth, tmp_path: Path) -> None:
    entry = {"repo_id": "me/set", "root": str(tmp_path / "mine"), "episodes": [0]}
    opened(**entry)
    repo = hub.repos["datasets", "me/set"]
    other = repo.commit(folder_files(truth.path) | {"meta/stats.json": b"{}"})
    with pytest.raises(ConfigError, match=rf"mine was downloaded at commit {repo.tags['v3.0']}, and `revision` asks"):
        opened(**entry, revision=other)
    assert_holds(opened(**entry, revision=repo.tags["v3.0"]), truth, [0], list(TWO_CAMERAS))


def test_a_home_that_cannot_be_written_is_no_broken_connection(
    hub: HubServer, truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=r"file/hub/\S+ cannot be written \(Not a directory\)"):
        opened(repo_id="me/set")


def test_a_part_is_merged_as_that_part(hub: HubServer, truth: Truth, tmp_path: Path) -> None:
    entry = {"repo_id": "me/set", "episodes": [1, 3], "feature_map": DROPPED}
    (tmp_path / "mix.json").write_text(json.dumps({"dataset": {"datasets": [entry]}}))
    assert main(["merge", f"--config={tmp_path / 'mix.json'}", f"--out={tmp_path / 'merged'}"]) == 0
    merged = opened(root=str(tmp_path / "merged"))
    rows = np.concatenate([np.arange(truth.num_frames)[truth.rows(e)] for e in (1, 3)])
    np.testing.assert_array_equal(merged.column("action"), truth.columns["action"][rows])
    assert [key for key, feature in merged.features.items() if feature.is_camera] == ["observation.images.top"]


# what goes wrong


ERRORS: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("no such repository", {"repo_id": "me/sett"}, ConfigError, "me/sett is no dataset at .* mean 'me/set'"),
    ("private", {"repo_id": "me/private"}, ConfigError, "or a private one.* `hf auth login`"),
    ("gated", {"repo_id": "me/gated"}, ConfigError, "me/gated is gated: .*conditions at http://.*/datasets/me/gated"),
    ("wrong revision", {"repo_id": "me/set", "revision": "v3.1"}, ConfigError,
     "no revision 'v3.1'. Did you mean 'v3.0'.* the branches main and the tags v3.0"),
    ("no such commit", {"repo_id": "me/set", "revision": "0" * 40}, ConfigError, "no revision '0000"),
    ("no such episode", {"repo_id": "me/set", "episodes": [1, 9]}, ConfigError,
     r"episodes \[9\] do not exist; me/set has 4 episodes, numbered 0 to 3"),
    ("not a name", {"repo_id": "me/--set"}, ConfigError, "me/--set is no name of a repository"),
    ("missing root", {"repo_id": "me/sett", "root": "/no/such"}, ConfigError, "whose `root` /no/such does not exist"),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "kind", "said"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_what_cannot_be_had_is_said(
    hub: HubServer, truth: Truth, entry: dict[str, Any], kind: type[Exception], said: str
) -> None:
    locate(SourceConfig(repo_id="me/set", episodes=(0,)))
    hub.add("me/private", {}).private = True
    hub.add("me/gated", folder_files(truth.path)).gated = True
    with pytest.raises(kind, match=said) as caught:
        opened(**entry)
    assert str(caught.value).startswith("source ")


def test_a_token_opens_a_private_repository(hub: HubServer, truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repos["datasets", "me/set"].private = True
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert_holds(opened(repo_id="me/set", episodes=[0]), truth, [0], list(TWO_CAMERAS))


@pytest.mark.parametrize("asked", ["/revision/", "/tree/", "file-001.mp4"])
def test_an_error_of_the_server_is_met_by_a_retry_that_is_counted_and_shown(
    hub: HubServer, truth: Truth, asked: str, caplog: pytest.LogCaptureFixture
) -> None:
    hub.faults.append(Fault(asked, status=500))
    before = counts.retries
    assert_holds(opened(repo_id="me/set", episodes=[1]), truth, [1], list(TWO_CAMERAS))
    assert counts.retries == before + 1
    assert "retry 1 of 2" in caplog.text


def test_a_retry_of_the_library_is_counted_and_shown(
    hub: HubServer, truth: Truth, caplog: pytest.LogCaptureFixture
) -> None:
    hub.faults.append(Fault("file-001.mp4", method="HEAD", status=503))
    before = counts.retries
    assert_holds(opened(repo_id="me/set", episodes=[1]), truth, [1], list(TWO_CAMERAS))
    assert counts.retries == before + 1
    assert "me/set on the Hub: a request about a file failed; retry" in caplog.text


def test_a_server_that_only_errs_is_told_of(hub: HubServer, truth: Truth) -> None:
    hub.faults.append(Fault("/revision/", status=502, times=100))
    with pytest.raises(RemoteError, match=r"me/set: http://.* answers with an error \(.*502.* Try again later"):
        opened(repo_id="me/set")


def test_a_connection_that_breaks_in_a_file_goes_on_from_there(
    hub: HubServer, truth: Truth, caplog: pytest.LogCaptureFixture
) -> None:
    hub.faults.append(Fault("top/chunk-000/file-001.mp4", cut_after=500))
    before = counts.retries
    assert_holds(opened(repo_id="me/set", episodes=[1]), truth, [1], list(TWO_CAMERAS))
    assert counts.retries == before + 1
    assert "Trying to resume download" in caplog.text


def test_a_connection_that_breaks_for_good_leaves_what_has_arrived_for_the_next_time(
    hub: HubServer, truth: Truth
) -> None:
    hub.faults.append(Fault("top/chunk-000/file-001.mp4", cut_after=0, times=100))
    with pytest.raises(RemoteError, match=r"connection to http://.* broke .* the same command goes on with the others"):
        opened(repo_id="me/set", episodes=[1])
    hub.faults.clear()
    before = len(hub.fetched())
    assert_holds(opened(repo_id="me/set", episodes=[1]), truth, [1], list(TWO_CAMERAS))
    assert "meta/info.json" not in hub.fetched()[before:]
    assert "observation.images.top/chunk-000/file-001.mp4" in " ".join(hub.fetched()[before:])


def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(
    hub: HubServer, truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"):
        monkeypatch.setattr(constants, name, 0.1)
    hub.faults.append(Fault("/tree/", sleep_s=0.5, times=100))
    with pytest.raises(RemoteError, match=r"took too long to answer.*HF_HUB_DOWNLOAD_TIMEOUT=60"):
        opened(repo_id="me/set")


@pytest.mark.parametrize("content", [b"{}", None], ids=["of another size", "of the same size"])
def test_a_file_that_is_not_the_listed_one_is_not_used(hub: HubServer, truth: Truth, content: bytes | None) -> None:
    honest = (truth.path / "meta/info.json").read_bytes()
    other = content or honest.replace(b"testbot", b"testbut")
    for method in ("HEAD", "GET"):
        hub.faults.append(Fault("meta/info.json", method=method, content=other))
    with pytest.raises(RemoteError, match=r"lists meta/info.json of me/set for this commit, and sent another file"):
        opened(repo_id="me/set")
    assert_holds(opened(repo_id="me/set"), truth, [0, 1, 2, 3], list(TWO_CAMERAS))


def test_what_does_not_fit_on_the_disk_is_not_begun(hub: HubServer, truth: Truth, monkeypatch: Any) -> None:
    tree = json.dumps([{"type": "file", "path": "data.bin", "size": 10**18, "oid": "0" * 40}]).encode()
    hub.faults.append(Fault("/tree/", status=200, content=tree))
    with pytest.raises(ConfigError, match=r"take 1,000,000,000,000,000,000 bytes, but .* Point HF_LEROBOT_HOME"):
        opened(repo_id="me/set")
    assert hub.fetched() == []


def test_a_listing_that_leads_out_of_the_folder_is_refused(hub: HubServer, truth: Truth) -> None:
    tree = json.dumps([{"type": "file", "path": "../x", "size": 1, "oid": "0" * 40}]).encode()
    hub.faults.append(Fault("/tree/", status=200, content=tree))
    with pytest.raises(ConfigError, match=r"lists '\.\./x', which leads out of it"):
        opened(repo_id="me/set")


# beside others


SCRIPT = """
import sys
from robomix.cli.main import main
from robomix.config import MixtureConfig
from robomix.mixture.opening import open_each
entry = {"repo_id": "me/set", "episodes": [0, 2]}
open_each(MixtureConfig.from_dict({"datasets": [entry]}), lambda dataset, _: print(dataset.fingerprint))
"""
LEROBOT = """
import sys
from lerobot.datasets.lerobot_dataset import LeRobotDataset
ours = LeRobotDataset("me/set", episodes=[1], video_backend="pyav")
print(ours.root, len(ours), ours[0]["observation.images.top"].shape)
theirs = LeRobotDataset("me/other", episodes=[1, 2], video_backend="pyav")
print(theirs.root)
"""


def started(code: str, hub: HubServer) -> subprocess.Popen[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}"}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.splitlines()


def test_two_processes_that_open_one_dataset_at_once_download_it_once(hub: HubServer, truth: Truth) -> None:
    hub.faults.append(Fault("file-002.mp4", sleep_s=0.5))  # so that the other meets the lock
    processes = [started(SCRIPT, hub) for _ in range(2)]
    fingerprints = {line for process in processes for line in ended(process)}
    assert len(fingerprints) == 1
    assert len(hub.fetched()) == len(set(hub.fetched()))
    assert len(hub.fetched(".mp4")) == 4


@pytest.mark.slow
def test_lerobot_finds_what_robomix_has_downloaded_and_the_other_way_round(
    hub: HubServer, truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lerobot", reason="LeRobot is not installed")
    hub.add("me/other", folder_files(truth.path), tags=["v3.0"])
    ours = opened(repo_id="me/set", episodes=[1])
    before = len(hub.fetched())
    lines = ended(started(LEROBOT, hub))
    assert lines[0] == f"{ours.path} 7 torch.Size([3, 32, 48])"
    asked = [path for method, path in hub.requests if method == "GET" and "/me/set/resolve/" in path]
    assert len(asked) == before
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    theirs = opened(repo_id="me/other", episodes=[1, 2])
    assert str(theirs.path) == lines[1]
    assert_holds(theirs, truth, [1, 2], list(TWO_CAMERAS))
