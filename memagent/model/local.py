"""The model on this machine: a Hugging Face causal LM with a write and a read adapter (transformers, peft).

`mini` is the embedded one. A folder holds `base/`, `write/`, `read/`, the tokenizer and `calibration.json`; any causal LM of the
hub works as a base with adapters trained by `python -m memagent train write|read --base NAME`, and without adapters by examples.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from torch import Tensor
from transformers.utils.logging import disable_progress_bar

from memagent.calls import ReadCall, WriteCall
from memagent.config import EMBEDDED_MODEL
from memagent.errors import ModelError
from memagent.memory.embedding import MiniLM
from memagent.model.bases import check_trees, fit_rows, load_base, load_tokenizer
from memagent.model.decoding import READ_JUDGE, WRITE_JUDGE, Judge, ReadChoice, ReadSearch, Scorer, WriteSearch, log_odds, spans
from memagent.model.fewshot import ASKED, WRITTEN, SpeltMarks, SpeltScorer
from memagent.model.int8 import fast_here, in_int8
from memagent.model.marks import Marks, mark_ids
from memagent.model.opinions import FittedScorer, RelationScorer
from memagent.model.pool import CachePool, Entry
from memagent.model.replies import bare, says
from memagent.model.seam import Draft, DraftRequest, WriteRequest
from memagent.model.tree import Scored, score_paths
from memagent.ontology import Ontology, default_ontology
from memagent.triples import SPEAKER, Query, Triple

WRITE, READ = "write", "read"
TEXT = "text"  # a judge of writes
BARE = ""  # no adapter
OPINIONS = "opinions.safetensors"
WISHED = 0.5  # probability of a call that has no answer: "not known"
WISHED_FURTHER = 3.5  # after an answer: log-odds of a further call by the language model and by the second opinion together. Of held-out
# questions with another step .57 are seen to lack its answer then, and .03 of those that have theirs are taken for such
WISHED_AGAIN = 6.0  # the same of a call that is no step further: about a name asked about before ("Where does Dana work?" may ask for the
# town, too), or for the same relation again
TALKED_ABOUT = 3  # subjects and objects of the sentence before that a pronoun may stand for
ALONE = 0.75  # confidence from which a sentence read without its context counts as read
TIED = 0.85  # confidence from which it is then believed to speak of a relative of one of before
MERGED_BELOW = 200_000_000  # parameters; a copy of the base for each adapter costs less than the adapters' own products
FP32_BELOW = 1_000_000_000  # parameters; larger ones stay in the type they were saved in, which is half as large


@dataclass(frozen=True, slots=True)
class Limits:
    """The judges of both calls, fitted on what no training saw and stored beside the weights.

    `write` is of what somebody says, `text` of running text, whose sentences state many things in other words; None: as `write`.
    """

    write: Judge = WRITE_JUDGE
    read: Judge = READ_JUDGE
    text: Judge | None = None

    @classmethod
    def load(cls, path: Path) -> Limits:
        """From `calibration.json`; defaults where there is none.

        Raises:
            ModelError: its judges know other features than ours.
        """
        if not path.exists():
            return cls()
        table = json.loads(path.read_text(encoding="utf-8"))
        judges = {kind: Judge(tuple(fit["weights"]), fit["relation"], fit["keep"]) for kind, fit in table.items() if fit is not None}
        if any(len(judge.weights) != len((READ_JUDGE if kind == READ else WRITE_JUDGE).weights) for kind, judge in judges.items()):
            hint = f"delete it and fit it again: python -m memagent train calibrate --out {path.parent} --data DIR --count 300"
            raise ModelError(f"{path} was fitted by another version", hint=hint)
        return cls(judges[WRITE], judges[READ], judges.get(TEXT))


class Networks:
    """The base under each of its adapters.

    A small base is kept once for each adapter with the adapter merged in, which halves the time of a token; a large one is kept once
    and switched, and so is one without adapters.
    """

    def __init__(self, base: Any, merged: Mapping[str, Any] | None = None) -> None:
        self.config = base.config
        self._base = base
        self._merged = merged or {}
        self._active: str | None = None

    def under(self, adapter: str) -> Any:
        """The network with that adapter in force, or with none (`BARE`)."""
        if adapter in self._merged:
            return self._merged[adapter]
        if isinstance(self._base, PeftModel) and self._active != adapter:
            layers: Any = self._base.base_model
            layers.disable_adapter_layers() if adapter == BARE else layers.enable_adapter_layers()
            if adapter != BARE:
                self._base.set_adapter(adapter)
            self._active = adapter
        return self._base


def _under_adapters(base: Any, tokenizer: Any, folder: Path, int8: bool) -> Networks:
    """The base with both adapters of a folder."""
    paths = {name: folder / name for name in (WRITE, READ)}
    if PeftConfig.from_pretrained(str(paths[WRITE])).trainable_token_indices:  # the base was not trained with the marks
        check_trees(base)
        fit_rows(base, tokenizer)
    if base.num_parameters() <= MERGED_BELOW:
        merged = {n: PeftModel.from_pretrained(deepcopy(base), str(p), adapter_name=n).merge_and_unload() for n, p in paths.items()}
        return Networks(in_int8(base), {name: in_int8(network) for name, network in merged.items()}) if int8 else Networks(base, merged)
    both = PeftModel.from_pretrained(base, str(paths[WRITE]), adapter_name=WRITE)
    both.load_adapter(str(paths[READ]), adapter_name=READ)
    return Networks(both.eval())


class LocalModel:
    """`LanguageModel` on transformers and peft; one generation at a time (the active adapter is global state)."""

    def __init__(
        self,
        networks: Networks,
        marks: Marks,
        limits: Limits,
        ontology: Ontology,
        *,
        second: RelationScorer | None = None,
        max_tokens: int = 64,
    ) -> None:
        self.networks = networks
        self.marks = marks
        self.max_tokens = max_tokens
        self.reach = min(int(getattr(networks.config, "max_position_embeddings", 1024)), 1024)
        self.pool = CachePool()
        self.second = second
        self._lock = RLock()
        self._writes = WriteSearch(self.marks, ontology, limits.write, second)
        self._texts = WriteSearch(self.marks, ontology, limits.text or limits.write, second)
        self._reads = ReadSearch(self.marks, ontology, limits.read, second)

    def judges(self, write: Judge | None = None, read: Judge | None = None, text: Judge | None = None) -> None:
        """Put other judges in place; for calibration."""
        self._writes.judge = write or self._writes.judge
        self._reads.judge = read or self._reads.judge
        self._texts.judge = text or self._texts.judge

    # ---- the seam

    def prompt(self, turns: Sequence[tuple[str, str]]) -> list[int]:
        """The last turns that fit, up to where the assistant is to speak."""
        marks = self.marks
        pieces = [marks.text(f"{speaker}: {text}") + [marks.end] for speaker, text in turns]
        budget = max(self.reach // 3, self.reach - 2 * self.max_tokens - 2)
        kept: list[int] = []
        for i, piece in enumerate(reversed(pieces)):
            if i and len(kept) + len(piece) > budget:
                break
            kept = piece[-budget:] + kept
        return [marks.begin, *kept, *marks.text("assistant:")]

    def write(self, request: WriteRequest) -> list[Triple]:
        """The triples of a focus sentence, searched among its spans.

        What somebody says is read on its own if it says something on its own; only what does not ("The capital is now Glim.") is read
        again with what precedes it. Otherwise a subject of the context leaks into sentences that have another one. A question never is:
        with names to choose from it would answer itself.
        """
        if request.context and request.speaker:
            alone = self.write(replace(request, context=(), known=()))
            if request.focus.rstrip().endswith("?"):
                return alone
            if alone and min(t.confidence for t in alone) >= ALONE:
                return [*self._tied(request, alone), *alone]
            request = replace(request, known=self.talked_about(request))
        return self.search(request)

    def _tied(self, request: WriteRequest, alone: Sequence[Triple]) -> list[Triple]:
        """What ties those of whom the sentence tells to those of before: "Her brother Rafa is a diver." ties Rafa to her."""
        told = {t.subject for t in alone}
        if not request.known or told <= {request.speaker, *(t.object for t in alone)}:
            return []
        before = {name for name in request.known if name not in request.focus}
        return [t for t in self.search(request) if t.subject in before and t.object in told and t.confidence >= TIED]

    def talked_about(self, request: WriteRequest) -> tuple[str, ...]:
        """The known names, and who the sentence before seems to be about, though it states nothing: "Suppose Harlan won. He's a baker."."""
        last = request.context[-1]
        if self.second is None:
            return request.known
        chosen = list(request.known)
        for name in self.second.stated(last, spans(last), (), request.speaker).sides(TALKED_ABOUT):
            if name[:1].isupper() and not any(set(name.split()) & set(other.split()) for other in chosen):
                chosen.append(name)
        return tuple(chosen)

    def search(self, request: WriteRequest) -> list[Triple]:
        """The triples of a focus sentence, read as the request has it."""
        here = spans(request.focus)
        names = list(dict.fromkeys([*here, *request.known, *([request.speaker] if request.speaker else [])]))
        with self._lock, torch.inference_mode():
            scorer = self._scorer(self._to_be_written(request), WRITE, "write")
            search = self._writes if request.speaker else self._texts
            return search.search(scorer, request.focus, names, frozenset(here), request.speaker, request.living)

    def draft(self, request: DraftRequest) -> Draft:
        """A read call if the model opens one that can be answered, otherwise the rest of the turn."""
        ids = list(request.ids)
        with self._lock, torch.inference_mode():
            scorer = self._scorer(ids, READ, request.thread)
            choice = self._reads.choose(
                scorer, request.question, request.askable, request.entities, request.speaker,
                asked=request.asked, answers=request.answers,
            )  # fmt: skip
            if choice.query is not None and choice.confidence >= self._reads.judge.keep:
                call = ReadCall((choice.query,))
                tokens = (self.marks.read_open, *self._reads.tokens(choice.query))
                return Draft(tokens, call=call, confidence=choice.confidence)
            in_vain: list[int] = []
            if self._in_vain(choice, request):
                wished = choice.wished
                in_vain = [self.marks.read_open, *(self._reads.tokens(wished) if wished else (self.marks.read_answer,)), self.marks.close]
            said = self._say(ids + in_vain, request)
            if request.answers and not in_vain and not self._says(self.marks.plain(said), request):
                said = [*self.marks.text(bare(request.answers, request.speaker)), self.marks.end]
            return Draft((*in_vain, *said), self.marks.plain(said), asked_in_vain=bool(in_vain), confidence=choice.confidence)

    def _in_vain(self, choice: ReadChoice, request: DraftRequest) -> bool:
        """Whether the question asks for what the memory does not hold.

        Once there is an answer the language model and the second opinion must say so together: either alone often holds that
        something more is asked of a name that was found.
        """
        if not request.entities:
            return False
        wishes = choice.wished not in request.askable and choice.wish >= WISHED
        if request.answers:
            opening = log_odds(math.log(max(choice.opening, 1e-9)))
            least = WISHED_FURTHER if choice.wished and _goes_on(choice.wished, request) else WISHED_AGAIN
            return wishes and opening + (log_odds(choice.opinion) if self.second else opening) >= least
        return choice.opening >= WISHED or wishes

    def _says(self, reply: str, request: DraftRequest) -> bool:
        """Whether the model's words are a reply with what the memory answered last."""
        last = request.asked[-1] if request.asked else None
        return says(reply, last, request.answers, request.speaker, self._reads.ontology, self.second)

    def answered(self, answers: Sequence[str]) -> list[int]:
        """The answers and the end of the call."""
        return [*self.marks.joined(answers, self.marks.next), self.marks.close]

    # ---- tokens

    def _to_be_written(self, request: WriteRequest) -> list[int]:
        """Context and focus, up to where the triples begin."""
        marks = self.marks
        focus = f"{request.speaker}: {request.focus}" if request.speaker else request.focus
        ids = [marks.begin]
        for sentence in request.context:
            ids += marks.text(f"{request.speaker}: {sentence}" if request.speaker else sentence)
        return [*ids[-self.reach // 2 :], marks.focus_open, *marks.text(focus), marks.focus_close, marks.write_open]

    def _scorer(self, ids: list[int], adapter: str, thread: str) -> Scorer:
        return PrefixScorer(self, ids, (thread, adapter))

    def _say(self, ids: list[int], request: DraftRequest) -> list[int]:
        """The model's own words, greedily, without opening a call; up to the end of the turn."""
        said: list[int] = []
        banned = [mark for mark in self.marks.ids if mark != self.marks.end]
        while len(said) < self.max_tokens:
            following = self._scorer(ids + said, READ, request.thread).following().clone()
            following[banned] = float("-inf")
            token = int(following.argmax())
            said.append(token)
            if self._ends(token):
                break
        return said

    def _ends(self, token: int) -> bool:
        """Whether the turn is over."""
        return token == self.marks.end

    def feed(self, ids: list[int], key: tuple[str, str]) -> tuple[Entry, Tensor]:
        """The cache of `ids` and the log-probabilities after them."""
        entry = self.pool.take(key, ids)
        fresh = ids[len(entry.ids) :]
        network = self.networks.under(key[1])
        output = network(input_ids=torch.tensor([fresh]), past_key_values=entry.cache, use_cache=True, logits_to_keep=1)
        entry.ids = list(ids)
        self.pool.put(key, entry)
        return entry, torch.log_softmax(output.logits[0, -1].float(), dim=-1)


def _goes_on(wished: Query, request: DraftRequest) -> bool:
    """Whether a query asks something else, and about what was found."""
    return wished.known in request.answers and all(wished.relation != asked.relation for asked in request.asked)


class PrefixScorer:
    """`decoding.Scorer` over a prefix held in the pool."""

    def __init__(self, model: LocalModel, ids: list[int], key: tuple[str, str]) -> None:
        self.model, self.ids, self.key = model, ids, key
        self._entry, self._following = model.feed(ids, key)

    def after(self, tail: Sequence[int]) -> PrefixScorer:
        """The same with `tail` added."""
        return PrefixScorer(self.model, [*self.ids, *tail], self.key)

    def following(self) -> Tensor:
        """Log-probabilities of the next token."""
        return self._following

    def score(self, paths: Sequence[Sequence[int]]) -> list[Scored]:
        """Every path in one pass."""
        return score_paths(self.model.networks.under(self.key[1]), self._entry.cache, len(self.ids), self._following, paths)


class FewShotModel(LocalModel):
    """A base that was trained neither for the calls nor with the marks: examples of both stand before everything it reads."""

    def __init__(self, networks: Networks, marks: SpeltMarks, limits: Limits, ontology: Ontology, **others: Any) -> None:
        super().__init__(networks, marks, limits, ontology, **others)
        self._spelt = marks
        written = [self._written(*example) for example in WRITTEN]
        asked = [self._asked(*example) for example in ASKED]
        self._lead = {WRITE: self._as_many_as_fit(written), READ: self._as_many_as_fit(asked)}
        self.reach -= max(map(len, self._lead.values()))

    def _written(self, request: WriteRequest, call: WriteCall) -> list[int]:
        marks = self.marks
        ids = self._to_be_written(request)
        for i, triple in enumerate(call.triples):
            ids += [marks.next] * (i > 0) + marks.joined((triple.subject, triple.relation, triple.object), marks.side)
        return [*ids, marks.close]

    def _asked(self, question: str, calls: Sequence[ReadCall], reply: str) -> list[int]:
        ids = self.prompt([(SPEAKER, question)])
        for call in calls:
            ids += [self.marks.read_open, *self._reads.tokens(call.queries[0]), *self.answered(call.answers or ())]
        return [*ids, *self.marks.text(reply)]

    def _as_many_as_fit(self, examples: Sequence[list[int]]) -> list[int]:
        """The beginning of a text and the first examples, in half of the reach."""
        begin = self.marks.tokenizer.bos_token_id
        ids = [] if begin is None else [begin]
        for example in map(self._spelt.fed, examples):
            if len(ids) + len(example) > self.reach // 2:
                break
            ids += example
        return ids

    def _scorer(self, ids: list[int], adapter: str, thread: str) -> Scorer:
        fed = [*self._lead[adapter], *self._spelt.fed(ids)]
        return SpeltScorer(PrefixScorer(self, fed, (thread, adapter)), self._spelt)

    def _ends(self, token: int) -> bool:
        return self._spelt.end_line(token)


def load_local(
    model: str,
    adapters: str | None = None,
    *,
    threads: int = 2,
    max_tokens: int = 64,
    ontology: Ontology | None = None,
    int8: bool | None = None,
) -> LocalModel:
    """Load a model folder (base, write, read), or a base with adapters from a folder, or a base alone that is shown examples.

    `int8`: whether a small model computes with 8-bit integers; None: where the processor is made for it.

    Raises:
        ModelError: the folder or the adapters are missing or do not fit; says what to do.
    """
    torch.set_num_threads(threads)
    disable_progress_bar()  # type: ignore[no-untyped-call]  # for weights that load in a moment
    folder = Path(model)
    trained = Path(adapters) if adapters else folder
    tokenizer = load_tokenizer(trained if (trained / "tokenizer_config.json").exists() else model)
    base = load_base(folder / "base" if (folder / "base").is_dir() else model)
    if base.num_parameters() <= FP32_BELOW:
        base.float()
    adapted = _has_adapters(trained, must=adapters is not None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for a deprecated name; no concern of a user
        networks = _under_adapters(base, tokenizer, trained, fast_here() if int8 is None else int8) if adapted else Networks(base)
    limits = Limits.load(trained / "calibration.json")
    ontology = ontology or default_ontology()
    if mark_ids(tokenizer):
        return LocalModel(networks, Marks(tokenizer), limits, ontology, second=_second(trained), max_tokens=max_tokens)
    check_trees(base)
    marks = SpeltMarks(tokenizer, base.get_output_embeddings().weight.shape[0])
    return FewShotModel(networks, marks, limits, ontology, second=_second(trained, EMBEDDED_MODEL), max_tokens=max_tokens)


def _has_adapters(folder: Path, must: bool) -> bool:
    """Whether both adapters are there.

    Raises:
        ModelError: one of them is missing, or both that were asked for.
    """
    missing = [name for name in (WRITE, READ) if not (folder / name).is_dir()]
    if len(missing) == 1 or (missing and must):
        hint = f"train it with: python -m memagent train {missing[0]}"
        raise ModelError(f"{folder} has no adapter {missing[0]}", hint=hint)
    return not missing


def _second(*folders: Path) -> FittedScorer | None:
    """The second opinion of the first of these folders that has one."""
    found = next((path for folder in folders if (path := folder / OPINIONS).exists()), None)
    return None if found is None else FittedScorer.load(MiniLM(), found)
