"""Everything that is trained on, tokenised into shards: the grammar's examples, real statements and documents, plain text, dialogues."""

from __future__ import annotations

import random
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any

from memagent.config import EMBEDDED_MODEL
from memagent.memory import MiniLM
from memagent.model.local import OPINIONS
from memagent.model.marks import Marks
from memagent.model.opinions import FittedScorer
from memagent.training.corpus import Turns, articles, persona_dialogues, task_dialogues, wikipedia_files
from memagent.training.distant import read_distant
from memagent.training.documents import document_examples
from memagent.training.examples import MAX_TOKENS, TEXT_WEIGHT, Teacher, write_example
from memagent.training.filtering import believed, placed
from memagent.training.grammar.engine import Facts, Grammar
from memagent.training.grammar.names import Names
from memagent.training.grammar.phrasings import phrasings
from memagent.training.overlap import Overlap, chat_texts, evaluation_texts, fitting, kept, unlike
from memagent.training.readers import (
    AskedRelation,
    Report,
    Statement,
    read_docred,
    read_docred_facts,
    read_fewrel,
    read_kamel,
    read_knowledgenet,
    read_simple_questions,
    read_task_talk,
    read_tekgen,
    read_webnlg,
    titles,
)
from memagent.training.shards import Example, write_shard
from memagent.triples import SPEAKER, Triple

MIXER = Path(__file__).with_name("mixer.toml")
PIECE = 256  # tokens of a piece of plain text
LEAD = 2600  # characters of an article that are read
MAX_FACT_NAME = 40  # characters; longer names of facts are titles of laws and papers
TAUGHT = 440  # documents of Re-DocRED dev; what is written from text is calibrated on the others
ASKED_ALIKE = 150
MENTIONED = 5  # details of a reason


def mixer() -> dict[str, dict[str, Any]]:
    """Shares and sizes, from `mixer.toml`."""
    return tomllib.loads(MIXER.read_text(encoding="utf-8"))


def prepare(
    data: Path,
    out: Path,
    marks: Marks,
    seed: int,
    say: Callable[[str], None],
    only: Sequence[str] = (),
    sizes: Mapping[str, int] | None = None,
    invented: float | None = None,
) -> None:
    """Write every shard (or only those named) into `out`, without what is worded like the evaluation's texts.

    `sizes` (examples of each source, tokens of a `piece` of text) and `invented` (share of the names) are for trials.
    """
    sizes = sizes or mixer()["examples"]
    teacher = Teacher(marks, Grammar(seed, facts=real_facts(data)))
    if invented is not None:
        teacher.grammar.names.invented = invented
    overlap = Overlap(evaluation_texts(data))
    say("compared with " + ", ".join(f"{count} sentences of {suite}" for suite, count in overlap.sizes.items()))
    say(f"{len(fitting(all_templates(), chat_texts()))} phrasings fit a sentence of the chat suite apart from its names")
    removed, report = Counter[str](), Report()
    sources: dict[str, Callable[[], Iterable[Example]]] = {
        "write": lambda: islice(kept(_drawn(teacher.write), overlap, marks, removed), sizes["write"]),
        "conversation": lambda: islice(kept(_drawn(teacher.conversation), overlap, marks, removed), sizes["conversation"]),
        "running": lambda: islice(kept(_drawn(teacher.running_text), overlap, marks, removed), sizes["running"]),
        "documents": lambda: document_examples(data, marks, seed, overlap, removed, report),
        "real": lambda: real_examples(unlike(real_statements(data, report), overlap, removed), marks, seed, renaming=invented != 0),
        "distant": lambda: real_examples(unlike(distant_statements(data, report), overlap, removed), marks, seed),
        "talk": lambda: kept(talk_examples(data, marks, report), overlap, marks, removed),
        "text": lambda: kept(
            text_examples(data, marks, sizes["articles"], mixer()["text"]["weight"], sizes.get("piece", PIECE)), overlap, marks, removed
        ),
        "dialogue": lambda: kept(dialogue_examples(data, marks, sizes["dialogues"], mixer()["text"]["weight"]), overlap, marks, removed),
    }
    for name, examples in sources.items():
        if not only or name in only:
            removed.clear()
            report.clear()
            say(f"{name}: {write_shard(out / name, examples())} examples; removed: {_counts(removed)}; readers: {reasons(report)}")


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counter.most_common()) or "none"


def reasons(report: Report) -> str:
    """What readers could not use or map, by reason, with the most frequent details of each."""
    details: dict[str, Counter[str]] = {}
    for text, count in report.items():
        reason, _, detail = text.partition(": ")
        details.setdefault(reason, Counter())[detail] += count
    parts = []
    for reason, counts in sorted(details.items(), key=lambda pair: -pair[1].total()):
        most = ", ".join(detail for detail, _ in counts.most_common(MENTIONED) if detail)
        parts.append(
            f"{counts.total()} {reason}" + (f" ({len(counts)} kinds: {most}{', ...' * (len(counts) > MENTIONED)})" if most else "")
        )
    return ", ".join(parts) or "nothing left over"


def all_templates() -> Iterator[str]:
    """The phrasings that are trained on."""
    for lists_ in phrasings("train").values():
        yield from chain.from_iterable(getattr(lists_, name) for name in lists_.__slots__)


def _drawn(draw: Callable[[], Example]) -> Iterator[Example]:
    while True:
        example = draw()
        if len(example.ids) <= MAX_TOKENS:
            yield example


def real_facts(data: Path) -> Facts:
    """KAMEL's and DocRED's facts with names that fit into a sentence."""
    facts: dict[str, list[tuple[str, str]]] = {}
    for fact in chain(read_kamel(data, Report()), read_docred_facts(data, Report())):
        if max(len(fact.subject), len(fact.objects[0])) <= MAX_FACT_NAME:
            facts.setdefault(fact.relation, []).append((fact.subject, fact.objects[0]))
    return facts


def real_statements(data: Path, report: Report) -> Iterator[Statement]:
    """Sentences that people wrote, with their triples."""
    return chain(
        read_tekgen(data, report),
        read_webnlg(data, report),
        read_knowledgenet(data, report),
        read_docred(data, report, documents=slice(TAUGHT)),
        islice(read_fewrel(data, "wiki", report), None, None, 3),
        islice(read_fewrel(data, "nyt", report), None, None, 2),
    )


def calibration_statements(data: Path, report: Report) -> Iterator[Statement]:
    """The sentences of the documents that are not taught."""
    return read_docred(data, report, documents=slice(TAUGHT, None))


@lru_cache(maxsize=1)
def earlier_opinion() -> FittedScorer | None:
    """The second opinion of the model that is there already."""
    opinions = EMBEDDED_MODEL / OPINIONS
    return FittedScorer.load(MiniLM(), opinions) if opinions.exists() else None


def distant_statements(data: Path, report: Report) -> Iterator[Statement]:
    """Known facts found in articles; where there is a model already, those that it believes."""
    second, found = earlier_opinion(), read_distant(data, report)
    return believed(found, second, report) if second else iter(found)


def real_questions(data: Path, report: Report, seed: int) -> Iterator[tuple[AskedRelation, str]]:
    """Questions that people wrote and the names that they ask about, at most `ASKED_ALIKE` of one relation and direction.

    The data set does not say where the name stands: without an earlier model there are none.
    """
    second, asked = earlier_opinion(), list(chain(*(read_simple_questions(data, report, split) for split in ("train", "valid"))))
    random.Random(seed).shuffle(asked)
    alike = Counter[tuple[str, bool]]()
    some = []
    for question in asked:
        alike[question.relation, question.inverse] += 1
        if alike[question.relation, question.inverse] <= ASKED_ALIKE:
            some.append(question)
    return placed(some, second, report) if second else iter(())


def real_examples(statements: Iterable[Statement], marks: Marks, seed: int, renaming: bool = True) -> Iterator[Example]:
    """Each real statement as it is and, with `renaming`, once more with invented names, so that it teaches words and not names."""
    rng = random.Random(seed)
    names = Names(rng)
    for statement in statements:
        if statement.partial and not statement.triples:
            continue  # nothing of it would be supervised
        for variant in dict.fromkeys((statement, renamed(statement, names, rng)) if renaming else (statement,)):
            example = write_example(marks, variant.before(), variant.focus, variant.triples, partial=variant.partial)
            if len(example.ids) <= MAX_TOKENS:
                yield example


def renamed(statement: Statement, names: Names, rng: random.Random) -> Statement:
    """The statement with invented names in place of most of its capitalised ones."""
    old = sorted({n for t in statement.triples for n in (t.subject, t.object) if n[:1].isupper()}, key=len, reverse=True)
    new = {name: " ".join(names.word() for _ in name.split()[:4]) for name in old if rng.random() < 0.8}
    if not new:
        return statement
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in new))

    def put(text: str) -> str:
        return pattern.sub(lambda found: new[found.group()], text)

    triples = tuple(Triple(put(t.subject), t.relation, put(t.object)) for t in statement.triples)
    context, focus = put(statement.context), put(statement.focus)
    if any(n not in focus and n not in context for t in triples for n in (t.subject, t.object)):
        return statement  # names that overlap; better the real ones than a gap
    return Statement(context, focus, triples, statement.source, statement.partial, statement.covered)


def talk_examples(data: Path, marks: Marks, report: Report) -> Iterator[Example]:
    """Requests to a task assistant: an empty call each."""
    for statement in read_task_talk(data, report):
        yield write_example(marks, (), f"{SPEAKER}: {statement.focus}", ())


def text_examples(data: Path, marks: Marks, count: int, weight: float, size: int = PIECE) -> Iterator[Example]:
    """The beginnings of articles; those that overlap with Re-DocRED are left out."""
    overlap = titles(data) | titles(data, "redocred/test_revised.json.xz")
    files = wikipedia_files(data)
    for file in files:
        for title, text in islice(articles(file), count // len(files)):
            ids = [marks.begin, *marks.text(text[:LEAD])]
            for start in range(0, 0 if title in overlap else len(ids), size):
                piece = ids[start : start + size]
                yield Example(tuple(piece), (weight,) * len(piece))


def dialogue_examples(data: Path, marks: Marks, count: int, weight: float) -> Iterator[Example]:
    """Conversations, as many turns as fit; what the user says is not supervised."""
    both: Iterator[Turns] = chain(islice(task_dialogues(data), count * 2 // 3), islice(persona_dialogues(data), count // 3))
    for turns in both:
        ids, weights = [marks.begin], [0.0]
        for speaker, text in turns:
            piece = [*marks.text(f"{speaker}: {text}"), marks.end]
            if len(ids) + len(piece) > PIECE:
                break
            ids += piece
            weights += [weight * TEXT_WEIGHT if speaker != SPEAKER else 0.0] * len(piece)
        yield Example(tuple(ids), tuple(weights))
