"""The marks as tokens, and the encoding of text between them.

Each mark of `calls.py` is one token that only the program or the sampler can put down: text is encoded with
`split_special_tokens`, so nothing that a user types becomes a mark. Every stretch of text and every name is encoded
with one space before it; a name then has the same tokens in a call as in the middle of a sentence, which makes copying
a matter of attention and not of spelling. A tokenizer that puts this space there itself is given none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from memagent import calls

BEGIN, END = "<|begin|>", "<|end|>"  # of a document or conversation; of a turn
SPACES = ("▁", "Ġ")  # how tokenizers write a space inside a token
NEXT_TOKEN = "<;>"  # ";" is a common character; its mark needs a spelling of its own
MARK_TOKENS = (
    BEGIN,
    END,
    calls.FOCUS_OPEN,
    calls.FOCUS_CLOSE,
    calls.WRITE_OPEN,
    calls.READ_OPEN,
    calls.READ_ANSWER,
    calls.CLOSE,
    calls.SIDE,
    NEXT_TOKEN,
)
ADDED_TOKENS = tuple(f"<|mem {mark}|>" for mark in MARK_TOKENS)  # in other people's vocabularies, where ">>" may be an ordinary token


def mark_ids(tokenizer: Any) -> tuple[int, ...]:
    """The ids of the marks; none where a tokenizer does not have all of them."""
    for tokens in (MARK_TOKENS, ADDED_TOKENS):
        ids = tuple(tokenizer.convert_tokens_to_ids(list(tokens)))
        if len(set(ids)) == len(tokens) and not {None, tokenizer.unk_token_id} & set(ids):
            return ids
    return ()


class Marks:
    """The ids of the marks in one tokenizer, and text to and from ids."""

    def __init__(self, tokenizer: Any, ids: Iterable[int] | None = None) -> None:
        self.tokenizer = tokenizer
        self.ids: tuple[int, ...] = mark_ids(tokenizer) if ids is None else tuple(ids)
        (
            self.begin,
            self.end,
            self.focus_open,
            self.focus_close,
            self.write_open,
            self.read_open,
            self.read_answer,
            self.close,
            self.side,
            self.next,
        ) = self.ids
        self._spelling = dict(zip(self.ids, MARK_TOKENS, strict=True))
        self._spelling[self.next] = calls.NEXT
        letter = tokenizer.convert_ids_to_tokens(tokenizer("a", add_special_tokens=False)["input_ids"])[0]
        self._space = "" if letter.startswith(SPACES) else " "

    def text(self, text: str) -> list[int]:
        """Ids of a stretch of text or a name, with one space before it; never a mark."""
        return self.texts([text])[0]

    def texts(self, texts: Iterable[str]) -> list[list[int]]:
        """`text` for many."""
        spaced = [self._space + text.lstrip(" ") for text in texts]
        if not spaced:
            return []
        encoded = self.tokenizer(spaced, add_special_tokens=False, split_special_tokens=True)
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    def located(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """`text`, and the stretch of its characters that each token stands for."""
        spaced = self._space + text.lstrip(" ")
        encoded = self.tokenizer(spaced, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        shift = len(text) - len(spaced)
        return encoded["input_ids"], [(max(0, start + shift), end + shift) for start, end in encoded["offset_mapping"]]

    def joined(self, names: Sequence[str], mark: int) -> list[int]:
        """Names with `mark` between them."""
        ids: list[int] = []
        for i, name in enumerate(names):
            ids += [mark] * (i > 0) + self.text(name)
        return ids

    def spell(self, ids: Sequence[int]) -> str:
        """Text of ids, marks spelt out as in `calls.py` (names unescaped); for people, not for parsing."""
        parts: list[str] = []
        run: list[int] = []
        for token in [*ids, None]:
            if token is not None and token not in self._spelling:
                run.append(token)
                continue
            if run:
                parts.append(self.tokenizer.decode(run, clean_up_tokenization_spaces=False))
                run = []
            if token is not None and token not in (self.begin, self.end):
                parts.append(self._spelling[token])
        return "".join(parts)

    def plain(self, ids: Sequence[int]) -> str:
        """Text of ids without marks."""
        kept = [token for token in ids if token not in self._spelling]
        decoded: str = self.tokenizer.decode(kept, clean_up_tokenization_spaces=False)
        return decoded.strip()
