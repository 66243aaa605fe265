"""Object storage for tests: moto's S3 server, reached through a proxy that can be slow, refuse, and break off."""

import http.client
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
from moto.server import ThreadedMotoServer

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
_CHUNK = 1 << 14


@dataclass
class Line:
    """What the proxy does to the traffic, and what it has seen. May be changed at any time."""

    faults: list[tuple[str, str]] = field(default_factory=list)
    """(part of a path, `503`, `cut` or `reset`): done to the next GET of such a path, each once, in order."""
    rate: float | None = None
    """Bits per second of all answers together."""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """(method, path, Range header) of each request."""
    sent: int = 0
    """Bytes of all answers."""
    _free_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, method: str, path: str) -> str:
        with self._lock:
            for i, (part, kind) in enumerate(self.faults):
                if method == "GET" and part in path:
                    del self.faults[i]
                    return kind
        return ""

    def carry(self, count: int) -> None:
        """Returns when `count` more bytes have gone over the line."""
        with self._lock:
            self.sent += count
            if self.rate is None:
                return
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + 8 * count / self.rate
            wait = self._free_at - now
        time.sleep(wait)

    def gets(self, part: str) -> list[str]:
        """The ranges asked for of paths with `part` in them."""
        return [span for method, path, span in self.requests if method == "GET" and part in path]


@dataclass
class Storage:
    """A running S3 server."""

    endpoint: str
    """The proxy's URL."""
    line: Line
    client: Any
    """boto3's, straight to the server behind the proxy."""

    def put(self, folder: Path, bucket: str, prefix: str) -> str:
        """Upload a folder; its URL."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.client.put_object(
                    Bucket=bucket, Key=f"{prefix}/{path.relative_to(folder).as_posix()}", Body=path.read_bytes()
                )
        return f"s3://{bucket}/{prefix}"


@contextmanager
def s3_storage() -> Iterator[Storage]:
    """An S3 server on this machine with the bucket `bucket`, until the block ends."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="bucket")
    line = Line()
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _handler(host, port, line))
    proxy.daemon_threads = True
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield Storage(f"http://127.0.0.1:{proxy.server_port}", line, client)
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
        server.stop()


def environment(storage: Storage) -> dict[str, str]:
    """The variables with which S3 is that storage."""
    return CREDENTIALS | {
        "AWS_ENDPOINT_URL": storage.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def _handler(host: str, port: int, line: Line) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            path = unquote(urlsplit(self.path).path + "?" + urlsplit(self.path).query)
            line.requests.append((self.command, path, self.headers.get("Range", "")))
            fault = line.fault(self.command, path)
            if fault == "503":
                self.send_response(503, "Slow Down")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if fault == "reset":
                self.close_connection = True
                return
            server = http.client.HTTPConnection(host, port)
            server.request(self.command, self.path, headers=dict(self.headers))
            answer = server.getresponse()
            body = b"" if self.command == "HEAD" else answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(body))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            server.close()
            if fault == "cut":
                body = body[: len(body) // 2]
                self.close_connection = True
            for at in range(0, len(body), _CHUNK):
                piece = body[at : at + _CHUNK]
                line.carry(len(piece))
                self.wfile.write(piece)

        do_GET = _forward  # noqa: N815  # the names http.server calls
        do_HEAD = _forward  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
