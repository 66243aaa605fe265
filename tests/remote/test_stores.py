"""What comes from object storage, what is said where nothing does, and how often it is tried."""

import logging
from pathlib import Path

import pytest

from robomix import open_dataset
from robomix.errors import ConfigError, RemoteError
from robomix.remote.counts import counts
from robomix.remote.stores import store_of
from robomix.remote.urls import as_url
from tests.remote.storage import Storage

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def url(s3: Storage, tmp_path: Path) -> str:
    """The URL of a folder with the file `deep/file.bin`, which is CONTENT."""
    s3.client.put_object(Bucket="bucket", Key=f"{tmp_path.name}/set/deep/file.bin", Body=CONTENT)
    return f"s3://bucket/{tmp_path.name}/set"


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("s3://bucket/set/", "s3://bucket/set"),
        (Path("s3://bucket/set"), "s3://bucket/set"),
        (Path("http://host:80/a b"), "http://host:80/a b"),
        (Path("file:///data/set"), "file:///data/set"),
        (Path("memory://a/b"), "memory://a/b"),
        ("/data/set", None),
        ("data/s3:", None),
        ("c:/data", None),
    ],
)
def test_urls_are_told_from_paths_even_after_pathlib(path: str | Path, url: str | None) -> None:
    assert as_url(path) == url


def test_files_are_listed_with_their_sizes_and_read_by_ranges(s3: Storage, url: str) -> None:
    files = store_of(url).files(url)
    assert {name: file.size for name, file in files.items()} == {"deep/file.bin": len(CONTENT)}
    assert store_of(url).read(files["deep/file.bin"], 300, 700) == CONTENT[300:700]
    assert s3.line.gets("file.bin") == ["bytes=300-699"]


def test_a_file_is_listed_by_its_own_url(s3: Storage, url: str) -> None:
    files = store_of(url).files(f"{url}/deep/file.bin")
    assert [(name, file.url) for name, file in files.items()] == [("", f"{url}/deep/file.bin")]


@pytest.mark.parametrize("kind", ["503", "cut"])
def test_an_error_that_passes_is_retried_logged_and_counted(
    s3: Storage, url: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = store_of(url).files(url)["deep/file.bin"]
    s3.line.faults += [("file.bin", kind)] * 2
    before = counts.retries
    with caplog.at_level(logging.WARNING):
        assert store_of(url).read(file, 0, file.size) == CONTENT
    assert counts.retries - before == 2
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 == len([text for text in told if f"{url}/deep/file.bin" in text])
    assert "retry 1 of 3" in told[0]
    assert "retry 2 of 3" in told[1]


def test_retries_are_bounded(s3: Storage, url: str) -> None:
    file = store_of(url).files(url)["deep/file.bin"]
    s3.line.faults += [("file.bin", "503")] * 10
    before = counts.retries
    with pytest.raises(RemoteError, match=r"deep/file.bin failed 4 times, the last time with: .*Is the network up"):
        store_of(url).read(file, 0, 10)
    assert (counts.retries - before, len(s3.line.faults)) == (3, 6), "one request for each try that is told"


def test_no_server_at_all_is_said(s3: Storage, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(RemoteError, match=r"listing s3://bucket.* failed 4 times.*connect"):
        open_dataset(url)


def test_a_file_that_changes_while_it_is_read_is_an_error(s3: Storage, url: str) -> None:
    file = store_of(url).files(url)["deep/file.bin"]
    s3.client.put_object(Bucket="bucket", Key=file.url.removeprefix("s3://bucket/"), Body=CONTENT[::-1])
    with pytest.raises(RemoteError, match=r"deep/file.bin has changed since it was listed. Start again"):
        store_of(url).read(file, 0, 100)
    s3.client.put_object(Bucket="bucket", Key=file.url.removeprefix("s3://bucket/"), Body=b"short")
    with pytest.raises(RemoteError, match="has changed since it was listed"):
        store_of(url).read(file, 0, 100)
    s3.client.delete_object(Bucket="bucket", Key=file.url.removeprefix("s3://bucket/"))
    with pytest.raises(RemoteError, match="there is nothing at s3://bucket"):
        store_of(url).read(file, 0, 100)


def test_a_missing_key_names_one_that_is_close(s3: Storage, url: str) -> None:
    before = counts.retries
    with pytest.raises(RemoteError, match=r"nothing lies at s3://bucket/.*/sett, .*Did you mean 'set'\?"):
        open_dataset(f"{url}t")
    with pytest.raises(RemoteError, match=r"nothing lies at s3://bucket/.*/other, .*Beside it: set\."):
        open_dataset(f"{url.removesuffix('set')}other")
    assert counts.retries == before, "what is not there now will not be there in a second"


def test_a_missing_bucket_is_said(s3: Storage) -> None:
    with pytest.raises(
        RemoteError, match=r"there is nothing at s3://nowhere/set \(The specified bucket does not exist"
    ):
        open_dataset("s3://nowhere/set")


def test_without_credentials_it_says_how_to_give_them(s3: Storage, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(RemoteError, match=r"listing s3://bucket/.*AWS_ACCESS_KEY_ID .*FSSPEC_S3_ANON"):
        open_dataset(url)


def test_an_unknown_scheme_and_a_missing_package_are_said(cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"s3x:// is no storage that fsspec knows. Did you mean 's3'\?"):
        open_dataset("s3x://bucket/set")
    with pytest.raises(ConfigError, match=r"gs:// needs a package that is missing: .*pip install 'robomix\[gs\]'"):
        open_dataset("gs://bucket/set")
