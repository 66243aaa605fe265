"""Random mixture files: whatever stands in them, the answer is a config that round-trips or a ConfigError."""

import contextlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robomix.config import MixtureConfig, SourceConfig
from robomix.documents import read_document
from robomix.errors import ConfigError
from robomix.mixture_block import SHORT
from robomix.mixture_rules import LEROBOT_KEYS

NAMES = [field.name for field in (*fields(MixtureConfig), *fields(SourceConfig))] + [
    *SHORT,
    *LEROBOT_KEYS,
    "kwargs",
    "",
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["a", "me/b"])
KEYS = st.sampled_from(NAMES) | st.text(max_size=5)
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))
SOURCES = st.lists(st.dictionaries(KEYS, DATA, max_size=3).map(lambda entry: {"root": "a"} | entry), max_size=3)
BLOCKS = DATA | st.dictionaries(KEYS, DATA, max_size=3).map(lambda block: {"repo_id": "a"} | block)
BLOCKS = BLOCKS | st.builds(lambda block, sources: block | {"datasets": sources}, st.dictionaries(KEYS, DATA), SOURCES)


@settings(max_examples=300, deadline=None)
@given(BLOCKS)
def test_any_data_is_a_config_or_a_config_error(block: Any) -> None:
    try:
        config = MixtureConfig.from_dict(block)
    except ConfigError:
        return
    assert MixtureConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.text("{}[]:,-&*<>!?|#'\"% \n\ta1.~", max_size=40).map(str.encode), st.booleans())
def test_any_bytes_are_a_mapping_or_a_config_error(tmp_path: Path, raw: bytes, as_json: bool) -> None:
    path = tmp_path / ("mix.json" if as_json else "mix.yaml")
    path.write_bytes(raw)
    with contextlib.suppress(ConfigError):
        assert isinstance(read_document(path), dict)
