"""`robomix push` against a server of the tests: what arrives on the Hub, what is refused, and what is said."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from robomix.cli.main import main
from robomix.remote import retries
from tests.fixtures import edit_info, write_v21, write_v30
from tests.hub_server import TOKEN, Fault, HubServer, Repo, folder_files


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub at which this process is logged in as `me`."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setattr(retries, "PAUSES", (0.0, 0.0))
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path / "lerobot"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A dataset in which the check finds nothing that fails."""
    return write_v30(tmp_path / "set").path


def policy(folder: Path) -> Path:
    """A policy folder, as far as a push looks at it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"type": "act"}))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def held(repo: Repo, branch: str = "main") -> dict[str, bytes]:
    return repo.commits[repo.branches[branch]]


def said(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of `robomix push ARGV`, and all that it prints, as one line."""
    code = main(["push", *argv])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, " ".join((out + err).split())


def test_a_dataset_arrives_whole_with_the_tag_by_which_lerobot_finds_it(
    hub: HubServer, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dataset / ".cache").mkdir()
    (dataset / ".cache" / "note").write_text("not for the Hub")
    code, text = said([str(dataset), "--repo_id=me/set", "--private"], capsys)
    repo = hub.repos["datasets", "me/set"]
    assert code == 0
    files = dict(held(repo))
    assert b"- LeRobot" in files.pop("README.md")
    assert files == {name: data for name, data in folder_files(dataset).items() if not name.startswith(".")}
    assert repo.tags == {"v3.0": repo.branches["main"]}
    assert repo.private
    assert f"uploaded to {hub.endpoint}/datasets/me/set, commit {repo.branches['main']}" in text


def test_what_was_pushed_is_what_a_mixture_reads(
    hub: HubServer, dataset: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert said([str(dataset), "--repo_id=me/set"], capsys)[0] == 0
    (tmp_path / "mix.json").write_text(json.dumps({"dataset": {"repo_id": "me/set"}}))
    assert main(["merge", f"--config={tmp_path / 'mix.json'}", f"--out={tmp_path / 'again'}"]) == 0


def test_a_second_push_leaves_no_file_of_the_first_and_moves_the_tag(
    hub: HubServer, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = hub.add("me/set", {"data/old.parquet": b"old", "README.md": b"mine", "notes.txt": b"kept"}, ["v3.0"])
    assert said([str(dataset), "--repo_id=me/set"], capsys)[0] == 0
    files = held(repo)
    assert "data/old.parquet" not in files
    assert (files["README.md"], files["notes.txt"]) == (b"mine", b"kept")
    assert repo.tags["v3.0"] == repo.branches["main"]


def test_a_branch_is_made_and_no_tag_moves(hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = hub.add("me/set", {}, ["v2.1"])
    before = dict(repo.tags)
    path = write_v21(tmp_path / "set").path
    code, text = said([str(path), "--repo_id=me/set", "--branch=trial"], capsys)
    assert code == 0
    assert "meta/info.json" in held(repo, "trial")
    assert "meta/info.json" not in held(repo)
    assert repo.tags == before
    assert "`revision: trial`" in text


def test_a_policy_becomes_a_model(hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said([str(policy(tmp_path / "act")), "--repo_id=me/act"], capsys)[0] == 0
    files = held(hub.repos["models", "me/act"])
    assert set(files) == {"config.json", "model.safetensors", "README.md"}
    assert b"--policy.path=me/act" in files["README.md"]


def test_a_dry_run_sends_nothing(hub: HubServer, dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said([str(dataset), "--repo_id=me/set", "--dry_run"], capsys)
    assert code == 0
    assert "nothing was uploaded" in text
    assert hub.requests == []


def test_a_dataset_that_fails_the_check_is_refused_unless_forced(
    hub: HubServer, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_info(dataset, total_frames=99, total_episodes=7)
    code, text = said([str(dataset), "--repo_id=me/set"], capsys)
    assert code == 2
    assert "the check says FAIL" in text
    assert "refused, nothing is uploaded" in text
    assert hub.requests == []
    assert said([str(dataset), "--repo_id=me/set", "--force"], capsys)[0] == 0


def test_a_link_is_refused(hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = policy(tmp_path / "act")
    (folder / "secret.json").symlink_to("/etc/hostname")
    code, text = said([str(folder), "--repo_id=me/act"], capsys)
    assert code == 2
    assert "secret.json is a link" in text


def test_a_folder_of_another_kind_is_told_what_it_is(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy(tmp_path / "run" / "checkpoints" / "last" / "pretrained_model" / "arm")
    policy(tmp_path / "run" / "checkpoints" / "last" / "pretrained_model" / "leg")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_text('{"type": "act"}')
    for folder, hint in (
        ("run", "it is a training's. Push"),
        ("run/checkpoints/last/pretrained_model", "policies of several robots: arm, leg. Push one"),
        ("bare", "but no weights"),
        ("barr", "is no folder. Did you mean 'bare'?"),
        ("bare/config.json", "is no folder. It is a file."),
    ):
        code, text = said([str(tmp_path / folder), "--repo_id=me/act"], capsys)
        assert code == 2
        assert hint in text


@pytest.mark.parametrize(
    ("token", "repo_id", "hint"),
    [
        (None, "me/act", "nobody is logged in at"),
        ("hf_wrong", "me/act", "refuses"),
        (TOKEN, "you/act", "refuses"),
        (TOKEN, "me/--act", "found 'me/--act', expected NAMESPACE/NAME"),
        (TOKEN, "act", "found 'act', expected NAMESPACE/NAME"),
    ],
    ids=["nobody", "wrong token", "another's namespace", "not a name", "no namespace"],
)
def test_who_may_not_push_is_told(
    hub: HubServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    token: str | None,
    repo_id: str,
    hint: str,
) -> None:
    monkeypatch.delenv("HF_TOKEN") if token is None else monkeypatch.setenv("HF_TOKEN", token)
    code, text = said([str(policy(tmp_path / "act")), f"--repo_id={repo_id}"], capsys)
    assert code == 2
    assert hint in text
    assert not hub.repos


def test_an_error_of_the_server_is_met_by_a_retry_that_is_shown(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults.append(Fault("/commit/", method="POST", status=503))
    code, text = said([str(policy(tmp_path / "act")), "--repo_id=me/act"], capsys)
    assert code == 0
    assert "retry 1 of 2" in text
    assert "config.json" in held(hub.repos["models", "me/act"])


def test_a_server_that_only_errs_is_told_of_and_the_rest_comes_later(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = policy(tmp_path / "act")
    hub.faults.append(Fault("/commit/", method="POST", status=503, times=100))
    code, text = said([str(folder), "--repo_id=me/act"], capsys)
    assert code == 2
    assert "answers with an error" in text
    assert "the same command goes on with the rest" in text
    hub.faults.clear()
    sent = [path for method, path in hub.requests if method == "PUT"]
    assert said([str(folder), "--repo_id=me/act"], capsys)[0] == 0
    assert [path for method, path in hub.requests if method == "PUT"] == sent
