"""The words the base model knows: a word-level tokenizer and a small text encoder.

A word's number never changes once weights were trained with it; new words are appended.  Words
that are not listed become `<unk>`, which the model was not taught and mostly ignores.
"""

from __future__ import annotations

import re

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from pipeline.compositing.backdrops import BACKDROPS, GRADES
from train_base.attire import ATTIRE

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
PERSON_TOKEN = "sks"
"""The free word that an adapter binds to one person.  Never in a training caption here."""

MAX_WORDS = 20
WIDTH = 192

_NUMBERED = [
    "grey",
    "studio",
    "backdrop",
    "charcoal",
    "white",
    "navy",
    "blue",
    "beige",
    "teal",
    "pink",
    "bright",
    "office",
    "background",
    "garden",
    "wood",
    "library",
    "brick",
    "loft",
    "photo",
    "of",
    "a",
    "person",
    "portrait",
    "headshot",
    "woman",
    "man",
    "left",
    "right",
    "key",
    "light",
    "warm",
    "cool",
    "black",
    "and",
    "suit",
    "blazer",
    "shirt",
    "professional",
    "smiling",
    "natural",
]
"""In the order of their numbers in the trained weights: a word keeps its number."""

_SAME_WORD = {
    r"\bgr[ae]y(ish)?\b": "grey",
    r"\b(maroon|crimson|wine)\b": "burgundy",
    r"\b(lilac|purple|violet)\b": "lavender",
    r"\b(yellow|gold|golden)\b": "mustard",
    r"\b(monochrome|greyscale|grayscale)\b": "black and white",
    r"\b(jacket)\b": "blazer",
    r"\b(lady|female)\b": "woman",
    r"\b(gentleman|male)\b": "man",
    r"\b(wall)\b": "backdrop",
    r"\b(picture|photograph)\b": "photo",
    r"\b(foliage|park)\b": "garden",
    r"\b(evening)\b": "night",
}
"""Other people's words for the same thing, rewritten before they are looked up."""


def vocabulary() -> list[str]:
    """All words in the order of their numbers."""
    words = [*SPECIAL, PERSON_TOKEN, *_NUMBERED]
    phrases = [*BACKDROPS, *GRADES, "top key light", "rim light", "dark suit", *ATTIRE]
    for phrase in phrases:
        for word in re.findall(r"[a-z]+", phrase):
            if word not in words:
                words.append(word)
    return words


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A fast tokenizer that diffusers can load; pads to 20 with `<pad>`."""
    numbers = {word: number for number, word in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
    rewrites = [normalizers.Replace(Regex(old), new) for old, new in _SAME_WORD.items()]
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *rewrites])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("[^a-z]+"), behavior="removed")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 1), ("<eos>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        model_max_length=MAX_WORDS,
    )


def numbers_of(tokenizer: PreTrainedTokenizerFast, prompts: list[str]) -> Tensor:
    """Word numbers, int64 [n, 20]."""
    padded = tokenizer(prompts, padding="max_length", truncation=True, max_length=MAX_WORDS)
    return torch.tensor(padded.input_ids)


def build_text_encoder(words: int, width: int = WIDTH) -> CLIPTextModel:
    """Two layers over `words` words; its last hidden state is what the denoiser attends to."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=words,
            hidden_size=width,
            intermediate_size=width * 3,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=MAX_WORDS,
            projection_dim=width,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            attn_implementation="eager",
        )
    )


@torch.no_grad()
def adopt(encoder: CLIPTextModel, state: dict[str, Tensor]) -> None:
    """Take over the weights of an encoder with fewer words; new words begin near the mean."""
    key = next(k for k in state if k.endswith("token_embedding.weight"))
    old = state[key].float()
    full = encoder.get_input_embeddings().weight
    full[len(old) :] = old[len(SPECIAL) + 1 :].mean(0) + 0.5 * full[len(old) :]
    full[: len(old)] = old
    own = encoder.state_dict()
    rest = {k: v for k, v in state.items() if k != key}
    missing = set(own) - set(rest) - {k for k in own if k.endswith("token_embedding.weight")}
    if any("position_ids" not in name for name in missing):
        raise KeyError(f"the old text encoder lacks {sorted(missing)}")
    encoder.load_state_dict({**own, **{k: v.to(own[k].dtype) for k, v in rest.items()}})
