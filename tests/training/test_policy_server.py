"""LeRobot's policy server, which moves robots over a network, runs a robot's folder where there is no robomix.

Its client speaks gRPC: which policy to load, an observation as the robot's hardware names it, a chunk of actions back.
"""

import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.training.runner import PolicyRunner
from tests.training.test_robot_folder import OWN, STATE, train, write_robots

grpc = pytest.importorskip("grpc", reason="LeRobot's policy server needs grpcio: pip install 'lerobot[async]'")

SERVER_WITHOUT_ROBOMIX = """
import sys
sys.modules["robomix"] = None
from lerobot.async_inference.policy_server import serve
serve()
"""


@contextmanager
def served(folder: Path) -> Iterator[Any]:
    """LeRobot's server in a process of its own, which logs into `folder`: what calls it."""
    from lerobot.transport import services_pb2_grpc

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    host, port = address.split(":")
    command = [sys.executable, "-c", SERVER_WITHOUT_ROBOMIX, f"--host={host}", f"--port={port}"]
    with (folder / "server.txt").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            grpc.channel_ready_future(channel).result(timeout=120)
            yield services_pb2_grpc.AsyncInferenceStub(channel)
    finally:
        server.kill()
        server.wait()


def asked(stub: Any, policy: Path, features: dict[str, Any], observation: dict[str, Any]) -> list[Any]:
    """The server's actions, as LeRobot's robot client asks for them."""
    from lerobot.async_inference.helpers import RemotePolicyConfig, TimedObservation
    from lerobot.transport import services_pb2
    from lerobot.transport.utils import send_bytes_in_chunks

    stub.Ready(services_pb2.Empty())
    wanted = RemotePolicyConfig("act", str(policy), features, actions_per_chunk=4)
    stub.SendPolicyInstructions(services_pb2.PolicySetup(data=pickle.dumps(wanted)))
    seen = TimedObservation(timestamp=0.0, timestep=0, observation=observation, must_go=True)
    stub.SendObservations(send_bytes_in_chunks(pickle.dumps(seen), services_pb2.Observation))
    made: list[Any] = pickle.loads(stub.GetActions(services_pb2.Empty()).data)
    return made


def test_lerobots_policy_server_acts_as_robomix_does(tmp_path: Path) -> None:
    policy = train(write_robots(tmp_path), "act") / "pretrained_model" / "solo"
    rng = np.random.default_rng(0)
    state = rng.normal(3, 4, 2).astype(np.float32)
    picture = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    features = {
        STATE: {"dtype": "float32", "shape": (2,), "names": ["shoulder.pos", "elbow.pos"]},
        OWN: {"dtype": "image", "shape": (32, 32, 3), "names": ["height", "width", "channels"]},
    }
    observation = {"shoulder.pos": state[0], "elbow.pos": state[1], "cam_left": picture, "task": "move"}
    with served(tmp_path) as stub:
        made = asked(stub, policy, features, observation)

    runner = PolicyRunner(policy, n_action_steps=4)
    expected = [runner({STATE: state, OWN: picture.transpose(2, 0, 1), "task": "move"}) for _ in range(4)]
    assert [action.get_timestep() for action in made] == [0, 1, 2, 3]
    np.testing.assert_allclose(np.stack([action.get_action() for action in made]), expected, rtol=1e-5, atol=1e-6)
    assert np.std(expected, axis=0).min() > 0
