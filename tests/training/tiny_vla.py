"""Vision-language-action policies of a few thousand weights, without any network: LeRobot's own classes, small."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lerobot.policies.pi0 import modeling_pi0
from lerobot.policies.pi05 import modeling_pi05
from lerobot.processor import tokenizer_processor
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast, SmolVLMConfig, SmolVLMProcessor
from transformers.models.smolvlm.image_processing_smolvlm import SmolVLMImageProcessor
from transformers.models.smolvlm.video_processing_smolvlm import SmolVLMVideoProcessor

from robomix.training.lerobot import PreTrainedConfig, decode_config

PICTURE = 32
"""Height and width of the pictures they see."""
CHUNK = 4
MOST = 8
"""Entries of state and action that they pad to inside."""
WIDTH = 16
WORDS = ["<pad>", "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<video>", "a", "b"]
VISION = {"hidden_size": WIDTH, "intermediate_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2}
KINDS = ("smolvla", "pi0", "pi05")


def write_tiny_smolvlm(folder: Path) -> Path:
    """The config and the processor of a SmolVLM, for `vlm_model_name`; its weights are random and not written."""
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="a"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        extra_special_tokens={"fake_image_token": WORDS[2], "global_image_token": WORDS[3], "image_token": WORDS[1]},
    )
    SmolVLMProcessor(SmolVLMImageProcessor(), tokenizer, SmolVLMVideoProcessor()).save_pretrained(folder)
    text = {"hidden_size": WIDTH, "intermediate_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2}
    SmolVLMConfig(
        vision_config=VISION | {"image_size": PICTURE, "patch_size": 8},
        text_config=text | {"num_key_value_heads": 1, "head_dim": 8, "vocab_size": len(WORDS), "pad_token_id": 0},
        image_token_id=1,
        pad_token_id=0,
    ).save_pretrained(folder)
    return folder


class Tiny:
    """Settings and configs of small policies by their kind."""

    def __init__(self, smolvlm: Path) -> None:
        self._smolvlm = smolvlm

    def __call__(self, kind: str, **more: Any) -> Any:
        """LeRobot's config, with some settings `more` than `settings`."""
        return decode_config(PreTrainedConfig, self.settings(kind) | {"push_to_hub": False} | more, kind)

    def settings(self, kind: str) -> dict[str, Any]:
        """As a mixture file has them under `policy`."""
        small: dict[str, Any] = {"type": kind, "device": "cpu", "chunk_size": CHUNK, "n_action_steps": 2}
        small |= {"max_state_dim": MOST, "max_action_dim": MOST}
        if kind == "smolvla":
            small |= {"vlm_model_name": str(self._smolvlm), "num_vlm_layers": 2, "num_steps": 2}
            return small | {"resize_imgs_with_padding": [PICTURE, PICTURE], "expert_width_multiplier": 1.0}
        return small | {"image_resolution": [PICTURE, PICTURE], "num_inference_steps": 2}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    """Small policies that LeRobot can build."""
    smolvlm = write_tiny_smolvlm(tmp_path_factory.mktemp("smolvlm"))
    with pytest.MonkeyPatch.context() as patch:
        for module in (modeling_pi0, modeling_pi05):
            _build_small(module, patch)
        _read_small(smolvlm, patch)
        yield Tiny(smolvlm)


def _build_small(module: Any, patch: pytest.MonkeyPatch) -> None:
    """LeRobot's pi policies know two sizes of Gemma, of 0.3 and 2 billion weights: here both are tiny."""
    vlm, expert = module.PaliGemmaForConditionalGenerationWithPiGemma, module.PiGemmaForCausalLM

    def small_vlm(config: Any) -> Any:
        config.text_config.vocab_size = len(WORDS)
        for name, value in (VISION | {"patch_size": 16, "projection_dim": WIDTH}).items():
            setattr(config.vision_config, name, value)
        return vlm(config=config)

    def small_expert(config: Any) -> Any:
        config.vocab_size = len(WORDS)
        return expert(config=config)

    size = module.GemmaConfig(width=WIDTH, depth=2, mlp_dim=WIDTH, num_heads=8, num_kv_heads=1, head_dim=4)
    patch.setattr(module, "get_gemma_config", lambda variant: size)
    patch.setattr(module, "PaliGemmaForConditionalGenerationWithPiGemma", small_vlm)
    patch.setattr(module, "PiGemmaForCausalLM", small_expert)


def _read_small(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """They take PaliGemma's tokenizer from the hub: here the one in `folder`."""
    load = AutoTokenizer.from_pretrained

    class Local:
        from_pretrained = staticmethod(lambda name: load(str(folder) if "paligemma" in name else name))

    patch.setattr(tokenizer_processor, "AutoTokenizer", Local)
