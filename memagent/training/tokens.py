"""The tokenizer: byte-level BPE, cased, every digit a token of its own, the marks as tokens."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from memagent.model.marks import BEGIN, END, MARK_TOKENS
from memagent.training.corpus import articles, persona_dialogues, task_dialogues, wikipedia_files


def train_tokenizer(texts: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """A tokenizer of `size` tokens learnt from `texts`."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(MARK_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    make: Any = PreTrainedTokenizerFast
    tokenizer: PreTrainedTokenizerFast = make(tokenizer_object=bpe, bos_token=BEGIN, eos_token=END, pad_token=END)
    return tokenizer


def tokenizer_texts(data: Path, articles_per_file: int = 700, dialogues: int = 3000) -> Iterable[str]:
    """A sample of the corpora on which the tokenizer is learnt; each text begins with a space, as in `marks.py`."""
    wiki = (" " + text for file in wikipedia_files(data) for _, text in islice(articles(file), articles_per_file))
    talk = (f" {speaker}: {text}" for turns in islice(task_dialogues(data), dialogues) for speaker, text in turns)
    chat = (f" {speaker}: {text}" for turns in islice(persona_dialogues(data), dialogues) for speaker, text in turns)
    return chain(wiki, talk, chat)
