"""A CLIP of a few thousand weights on the disk, for policies that load one by name, without any network."""

from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

PICTURE = 32
"""Height and width of the pictures it sees."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]


def write_tiny_clip(folder: Path) -> Path:
    """A random model and its tokenizer, which reads letters, into `folder`; its name must have `clip` in it."""
    CLIPTokenizer(vocab={word: i for i, word in enumerate(WORDS)}, merges=[]).save_pretrained(folder)
    ends = {"bos_token_id": len(WORDS) - 2, "eos_token_id": len(WORDS) - 1}
    size = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config=size | ends | {"vocab_size": len(WORDS), "max_position_embeddings": 16},
        vision_config=size | {"image_size": PICTURE, "patch_size": 16},
        projection_dim=8,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(folder)
    return folder
