"""A server that speaks as much of the Hub's HTTP as huggingface_hub asks for, with repositories in memory and faults.

    with HubServer() as hub:
        hub.add("me/set", folder_files(path), tags=["v3.0"])
        hub.faults.append(Fault("file-000.mp4", cut_after=1000))

Paths and headers: https://huggingface.co/docs/hub/api; uploads are Git LFS (basic transfer) and commits in NDJSON.
"""

import base64
import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LFS_SUFFIXES = (".parquet", ".mp4", ".hdf5", ".safetensors")
TOKEN = "hf_of_the_tests"


@dataclass
class Fault:
    """What goes wrong with requests whose path holds `match`, the next `times` times."""

    match: str
    method: str = "GET"
    times: int = 1
    status: int | None = None
    """Answer with this in place of what was asked."""
    cut_after: int | None = None
    """Close the connection after so many bytes of the file."""
    sleep_s: float = 0.0
    """Answer only then."""
    content: bytes | None = None
    """Another file in place of the one asked for, with its own ETag."""
    first: Callable[[], object] | None = None
    """Done before the answer."""


@dataclass
class Repo:
    """One repository: what each commit holds, and what branches and tags point to."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: bool = False

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Makes `files` what `branch` holds; the new commit."""
        digest = hashlib.sha1(repr((len(self.commits), sorted(files))).encode())
        for name in sorted(files):
            digest.update(files[name])
        sha = digest.hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha

    def resolve(self, revision: str) -> str | None:
        """The commit a revision means."""
        named = self.branches.get(revision) or self.tags.get(revision)
        return named or (revision if revision in self.commits else None)


def folder_files(folder: Path) -> dict[str, bytes]:
    """The files below a folder by their names, as a commit has them."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class HubServer(ThreadingHTTPServer):
    """Serves until the end of its `with` block; `requests` is everything it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[tuple[str, str], Repo] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        """(method, path) in the order of arrival."""
        self.lfs: dict[str, bytes] = {}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, repo_id: str, files: dict[str, bytes], tags: Iterable[str] = (), kind: str = "datasets") -> Repo:
        """A repository with one commit on `main`, which `tags` name too."""
        repo = self.repos.setdefault((kind, repo_id), Repo())
        sha = repo.commit(files)
        repo.tags |= dict.fromkeys(tags, sha)
        return repo

    def fetched(self, suffix: str = "") -> list[str]:
        """Names of the files whose content was asked for, of those that end with `suffix`."""
        paths = [path for method, path in self.requests if method == "GET" and "/resolve/" in path]
        return [p.split("/resolve/")[1].split("/", 1)[1] for p in paths if p.endswith(suffix)]

    def __enter__(self) -> "HubServer":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that break off are part of the tests."""


class _Error(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, path))
        fault = self._fault(path)
        if fault is not None:
            time.sleep(fault.sleep_s)
            if fault.first is not None:
                fault.first()
            if fault.status is not None:
                return self._send(fault.status, fault.content or b'{"error": "out of order"}')
        try:
            for pattern, method, act in _ROUTES:
                found = re.fullmatch(pattern, path)
                if found and method == self.command.replace("HEAD", "GET"):
                    return act(self, body, fault, **found.groupdict())
            raise _Error(404, "", f"no such path {path}")
        except _Error as error:
            text = json.dumps({"error": error.message}).encode()
            return self._send(error.status, text, {"X-Error-Code": error.code, "X-Error-Message": error.message})

    def _fault(self, path: str) -> Fault | None:
        for fault in self.server.faults:
            if fault.times > 0 and fault.match in path and fault.method == self.command:
                fault.times -= 1
                return fault
        return None

    def _send(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, cut: int | None = None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _repo(self, kind: str, repo_id: str) -> Repo:
        repo = self.server.repos.get((kind, repo_id))
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repo is None or (repo.private and not known):
            raise _Error(404 if known else 401, "RepoNotFound", "Repository not found")
        return repo

    def _commit(self, repo: Repo, revision: str) -> str:
        sha = repo.resolve(revision)
        if sha is None:
            raise _Error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha

    def _let_in(self, repo: Repo) -> None:
        if repo.gated:
            raise _Error(403, "GatedRepo", "Access to this dataset is restricted")

    def _require_login(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise _Error(401, "", "Invalid username or password.")

    # reading

    def info(self, body: bytes, fault: Fault | None, kind: str, repo_id: str, revision: str = "main") -> None:
        repo = self._repo(kind, repo_id)
        sha = self._commit(repo, revision)
        self._json({"id": repo_id, "sha": sha, "private": repo.private, "tags": [], "downloads": 0, "likes": 0,
                    "siblings": [{"rfilename": name} for name in sorted(repo.commits[sha])]})  # fmt: skip

    def refs(self, body: bytes, fault: Fault | None, kind: str, repo_id: str) -> None:
        repo = self._repo(kind, repo_id)

        def listed(refs: dict[str, str], folder: str) -> list[dict[str, str]]:
            return [{"name": n, "ref": f"refs/{folder}/{n}", "targetCommit": sha} for n, sha in refs.items()]

        self._json({"branches": listed(repo.branches, "heads"), "tags": listed(repo.tags, "tags"), "converts": []})

    def tree(self, body: bytes, fault: Fault | None, kind: str, repo_id: str, revision: str) -> None:
        repo = self._repo(kind, repo_id)
        self._let_in(repo)
        files = repo.commits[self._commit(repo, revision)]
        self._json([_listed(name, data) for name, data in sorted(files.items())])

    def resolve(
        self, body: bytes, fault: Fault | None, repo_id: str, revision: str, name: str, kind: str = "models"
    ) -> None:
        repo = self._repo(kind, repo_id)
        self._let_in(repo)
        sha = self._commit(repo, revision)
        if name not in repo.commits[sha]:
            raise _Error(404, "EntryNotFound", f"{name} does not exist")
        data = repo.commits[sha][name] if fault is None or fault.content is None else fault.content
        headers = {"ETag": f'"{_etag(name, data)}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        cut = None if fault is None else fault.cut_after
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if begin:
            first = int(begin[1])
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            return self._send(206, data[first:], headers, cut)
        self._send(200, data, headers, cut)

    # writing

    def whoami(self, body: bytes, fault: Fault | None) -> None:
        self._require_login()
        self._json({"type": "user", "name": "me", "orgs": [], "auth": {"accessToken": {"role": "write"}}})

    def create(self, body: bytes, fault: Fault | None) -> None:
        self._require_login()
        asked = json.loads(body)
        repo_id, kind = f"{asked.get('organization') or 'me'}/{asked['name']}", f"{asked.get('type', 'model')}s"
        prefix = "datasets/" if kind == "datasets" else ""
        answer = {"url": f"{self.server.endpoint}/{prefix}{repo_id}"}
        if (kind, repo_id) in self.server.repos:
            return self._json(answer | {"error": "You already created this repo"}, 409)
        if not repo_id.startswith("me/"):
            raise _Error(403, "", "You don't have the rights to create a repository under this namespace")
        repo = self.server.add(repo_id, {}, kind=kind)
        repo.private = asked.get("private", False) or asked.get("visibility") == "private"
        self._json(answer)

    def branch(self, body: bytes, fault: Fault | None, kind: str, repo_id: str, name: str) -> None:
        self._require_login()
        repo = self._repo(kind, repo_id)
        if name in repo.branches:
            return self._json({"error": "Reference already exists"}, 409)
        asked = json.loads(body or b"{}")
        repo.branches[name] = self._commit(repo, asked.get("startingPoint", "main"))
        self._json({})

    def tag(self, body: bytes, fault: Fault | None, kind: str, repo_id: str, name: str) -> None:
        self._require_login()
        repo, tag = self._repo(kind, repo_id), json.loads(body)["tag"]
        if tag in repo.tags:
            return self._json({"error": "Tag already exists"}, 409)
        repo.tags[tag] = self._commit(repo, name)
        self._json({})

    def delete_tag(self, body: bytes, fault: Fault | None, kind: str, repo_id: str, name: str) -> None:
        self._require_login()
        if self._repo(kind, repo_id).tags.pop(name, None) is None:
            raise _Error(404, "RevisionNotFound", f"no tag {name}")
        self._json({})

    def validate(self, body: bytes, fault: Fault | None) -> None:
        self._json({"errors": [], "warnings": []})

    def preupload(self, body: bytes, fault: Fault | None, kind: str, repo_id: str, revision: str) -> None:
        self._require_login()
        held = self._repo(kind, repo_id)
        files = held.commits[self._commit(held, revision)]
        self._json({"files": [
            {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(LFS_SUFFIXES) else "regular",
             "shouldIgnore": False, "oid": _etag(f["path"], files[f["path"]]) if f["path"] in files else None}
            for f in json.loads(body)["files"]
        ]})  # fmt: skip

    def batch(self, body: bytes, fault: Fault | None, repo_id: str, kind: str = "models") -> None:
        self._require_login()
        objects = json.loads(body)["objects"]
        self._json({"transfer": "basic", "objects": [
            one if one["oid"] in self.server.lfs else
            one | {"actions": {"upload": {"href": f"{self.server.endpoint}/lfs/{one['oid']}"}}}
            for one in objects
        ]})  # fmt: skip

    def put(self, body: bytes, fault: Fault | None, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _Error(400, "", "the content is not that of the hash")
        self.server.lfs[oid] = body
        self._send(200)

    def commit(self, body: bytes, fault: Fault | None, kind: str, repo_id: str, revision: str) -> None:
        self._require_login()
        repo = self._repo(kind, repo_id)
        files = dict(repo.commits[self._commit(repo, revision)])
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.server.lfs[value["oid"]]
            elif item["key"] == "deletedFile":
                del files[value["path"]]
        sha = repo.commit(files, revision)
        self._json({"commitUrl": f"{self.server.endpoint}/{repo_id}/commit/{sha}", "commitOid": sha})


def _etag(name: str, data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if name.endswith(LFS_SUFFIXES) else _git_blob(data)


def _git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _listed(name: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": _git_blob(data)}
    if name.endswith(LFS_SUFFIXES):
        entry["lfs"] = {"oid": _etag(name, data), "size": len(data), "pointerSize": 130}
    return entry


_ID = r"(?P<repo_id>[^/]+/[^/]+?)"
_API = rf"/api/(?P<kind>datasets|models)/{_ID}"
_ROUTES: list[tuple[str, str, Any]] = [
    (_API, "GET", _Handler.info),
    (rf"{_API}/revision/(?P<revision>.+)", "GET", _Handler.info),
    (rf"{_API}/refs", "GET", _Handler.refs),
    (rf"{_API}/tree/(?P<revision>.+)", "GET", _Handler.tree),
    (rf"/(?P<kind>datasets)/{_ID}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", "GET", _Handler.resolve),
    (rf"/{_ID}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", "GET", _Handler.resolve),
    ("/api/whoami-v2", "GET", _Handler.whoami),
    ("/api/repos/create", "POST", _Handler.create),
    ("/api/validate-yaml", "POST", _Handler.validate),
    (rf"{_API}/branch/(?P<name>.+)", "POST", _Handler.branch),
    (rf"{_API}/tag/(?P<name>.+)", "POST", _Handler.tag),
    (rf"{_API}/tag/(?P<name>.+)", "DELETE", _Handler.delete_tag),
    (rf"{_API}/preupload/(?P<revision>.+)", "POST", _Handler.preupload),
    (rf"{_API}/commit/(?P<revision>.+)", "POST", _Handler.commit),
    (rf"/(?P<kind>datasets)/{_ID}\.git/info/lfs/objects/batch", "POST", _Handler.batch),
    (rf"/{_ID}\.git/info/lfs/objects/batch", "POST", _Handler.batch),
    (r"/lfs/(?P<oid>[0-9a-f]{64})", "PUT", _Handler.put),
]
