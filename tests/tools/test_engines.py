"""Engines change no byte, and leave nothing running."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from robomix.cli.main import main
from robomix.errors import ConfigError, FormatError
from robomix.mixture.materialized import Storage
from robomix.tools.build.engines.base import Engine
from robomix.tools.build.engines.choice import engine_of
from robomix.tools.build.engines.cluster import Cluster
from robomix.tools.build.engines.processes import Processes
from robomix.tools.build.layout import Version
from robomix.tools.build.plan import carry_out, make_plan
from robomix.tools.build.source import read_content
from robomix.tools.edit.episodes import trim
from robomix.tools.materialize import frame_files
from robomix.tools.repair.consent import Flags
from robomix.tools.repair.run import carry_out as carry_out_repair
from robomix.tools.repair.run import plan_repair
from tests.conftest import PROJECT
from tests.fixtures import write_v21
from tests.tools.edited import digests
from tests.tools.materialize.files import block, materialize
from tests.tools.materialize.files import write_sources as write_materialized
from tests.tools.writers import write_sources


@dataclass(frozen=True)
class Squares:
    """Stands for a writer: quick for some, slow for others, wrong for 13, deadly for 66."""

    def write(self, file: int) -> tuple[int, int]:
        if file == 13:
            raise FormatError("13 is not squared.")
        if file == 66:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05 * (file % 2))
        return file, file**2


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A small Ray of this machine, started once."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False)
    yield Cluster(workers=2)
    ray.shutdown()


def engines(cluster: Cluster) -> dict[str, Engine]:
    return {"alone": Processes(), "processes": Processes(2), "ray": cluster}


def test_results_come_in_the_order_of_the_files(cluster: Cluster) -> None:
    for engine in engines(cluster).values():
        assert list(engine.map(Squares(), [3, 2, 1, 0, 5])) == [(3, 9), (2, 4), (1, 1), (0, 0), (5, 25)]
        assert list(engine.map(Squares(), [])) == []


def test_an_error_of_a_writer_comes_as_it_is(cluster: Cluster) -> None:
    for engine in engines(cluster).values():
        with pytest.raises(FormatError, match=r"^13 is not squared\.$"):
            list(engine.map(Squares(), [1, 13, 2]))


def test_a_process_that_dies_is_told(cluster: Cluster) -> None:
    for engine in (Processes(2), cluster):
        with pytest.raises(FormatError, match="has died, so nothing was published"):
            list(engine.map(Squares(), [1, 66, 2]))


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_engines_and_workers_change_no_byte(version: Version, cluster: Cluster, tmp_path: Path) -> None:
    """Frames that are copied, and frames that are encoded since what is left begins with no key frame."""
    write_v21(tmp_path / "source", lengths=(8, 9, 10), gop=4, codec="h264")
    content = trim(read_content(tmp_path / "source"), {0: (1, 8)})
    found = []
    for name, engine in (engines(cluster) | {"more": Processes(3)}).items():
        plan = make_plan(content, tmp_path / name, version=version)
        assert plan.encoded_frames == 7
        carry_out(plan, codec="h264", engine=engine)
        found.append(digests(tmp_path / name))
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("storage", ["frames", "video"])
def test_engines_materialize_the_same_bytes(
    storage: Storage, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_files, "_STRETCH", 5)  # frames of a file are written by several
    entries, found = write_materialized(tmp_path / "sources"), []
    for engine in engines(cluster).values():
        materialize(block(entries), tmp_path / "small", storage, engine=engine)
        found.append(digests(tmp_path / "small"))
        shutil.rmtree(tmp_path / "small")
    assert all(one == found[0] for one in found)


def test_engines_repair_to_the_same_bytes(cluster: Cluster, tmp_path: Path) -> None:
    write_sources(tmp_path)
    found = []
    for name, engine in engines(cluster).items():
        carry_out_repair(plan_repair(tmp_path / "DAMAGED", tmp_path / name, Flags(repack=True)), engine)
        found.append(digests(tmp_path / name))
    assert all(one == found[0] for one in found)


STOPPED = """
import sys, time
from robomix.tools.build.engines.processes import Processes

class Sleeps:
    def write(self, file):
        time.sleep(0 if file == 0 else 60)

if __name__ == "__main__":
    for _ in Processes(2).map(Sleeps(), [0, 1, 2]):
        print("at work", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_one_that_started_it(number: signal.Signals, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(STOPPED)
    process = subprocess.Popen(
        [sys.executable, program],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"at work\n"
    assert len(members(process.pid)) > 2
    process.send_signal(number)
    process.wait(30)
    deadline = time.monotonic() + 30
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert members(process.pid) == []


def members(session: int) -> list[int]:
    """Processes of a session that run."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            state, _, _, own = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(own) == session and state != "Z":
            found.append(int(pid))
    return found


def test_flags_that_do_not_fit_are_refused() -> None:
    assert engine_of("ray", 3, "auto") == Cluster("auto", 3)
    assert engine_of("processes", 2) == Processes(2)
    assert main(["repair", str(Path(__file__)), "--out=new", "--address=auto"]) == 2
    wrong: list[tuple[Any, str]] = [(("processes", 0), "--workers=0"), (("processes", 1, "auto"), "--engine=ray")]
    for arguments, said in wrong:
        with pytest.raises(ConfigError, match=said):
            engine_of(*arguments)


@pytest.mark.parametrize("address", ["{host}:{port}", "ray://{host}:{port}", "head", "head:x", "head:70000", "a..b:1"])
def test_an_address_at_which_no_cluster_is_is_refused_at_once(address: str) -> None:
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host, port = free.getsockname()
    given = address.format(host=host, port=port)
    said = f"--address={re.escape(given)}(: nothing answers there|, expected auto, HOST)"
    with pytest.raises(ConfigError, match=said):
        Cluster(given)._connect()


def test_ray_is_asked_for_only_where_it_is_used() -> None:
    """Without it installed all else works: no module needs it to be imported."""
    code = "import robomix.cli.writing, sys; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
