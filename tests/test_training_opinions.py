"""The second opinion: what it is taught, and that the shipped form computes what was trained."""

import math
import random

import pytest
import torch

from memagent.config import EMBEDDED_MODEL
from memagent.errors import ModelError
from memagent.memory import MiniLM
from memagent.model.local import OPINIONS
from memagent.model.opinions import NOTHING, WHOLE, FittedScorer
from memagent.training import lessons, opinions
from memagent.training.lessons import Lessons, Reading, stated
from memagent.training.opinions import HEAD_OF, SCALE, Batch, LowRank, begin_from, endless, new_encoder, save, teach, trained
from memagent.training.readers import AskedRelation
from memagent.triples import SPEAKER, Triple

FOCUS = "My sister Anna Lund lives in Oslo and works for Equinor."
TRIPLES = (Triple("user", "sister", "Anna Lund"), Triple("Anna Lund", "residence", "Oslo"), Triple("Anna Lund", "employer", "Equinor"))


def named(reading: Reading) -> list[tuple[str, str, str]]:
    """Pairs with their names; the speaker's is empty."""
    text = [reading.text[start:end] for start, end in reading.spans]
    return [(text[i], relation, text[j]) for i, j, relation in reading.pairs]


def test_right_pairs_are_all_there_and_no_wrong_one_is_right():
    reading = stated(random.Random(1), FOCUS, [], TRIPLES, "user")
    right = [pair for pair in named(reading) if pair[1] != NOTHING]
    assert right == [("", "sister", "Anna Lund"), ("Anna Lund", "residence", "Oslo"), ("Anna Lund", "employer", "Equinor")]
    wrong = {(i, j) for i, j, relation in reading.pairs if relation == NOTHING}
    assert len(wrong) == lessons.NEGATIVES
    assert wrong.isdisjoint((i, j) for i, j, relation in reading.pairs if relation != NOTHING)


def test_a_subject_of_the_context_stands_before_the_sentence():
    reading = stated(random.Random(1), "She moved to Rome.", ["Bob", "Anna"], [Triple("Anna", "residence", "Rome")], "user")
    assert reading.text == "Bob. Anna. She moved to Rome."
    assert ("Anna", "residence", "Rome") in named(reading)


def test_a_partly_annotated_sentence_teaches_only_spoilt_spans():
    triples = [Triple("Anna Lund", "residence", "Oslo")]
    reading = stated(random.Random(1), FOCUS, [], triples, "user", partial=True)
    wrong = [(s, o) for s, relation, o in named(reading) if relation == NOTHING]
    assert wrong
    for subject, target in wrong:
        assert (subject == "Anna Lund") != (target == "Oslo")
        assert {"Anna", "Lund"} & set(subject.split()) or "Oslo" in target


def test_a_name_that_is_nowhere_teaches_nothing():
    assert stated(random.Random(1), "Hello.", [], TRIPLES, "user") is None


def test_two_neighbours_of_a_list_are_no_name_together():
    triples = [Triple("Anna Lund", "languages spoken", "Dutch"), Triple("Anna Lund", "languages spoken", "Polish")]
    reading = stated(random.Random(1), "Anna Lund speaks Dutch and Polish.", [], triples, "user", partial=True)
    assert ("Anna Lund", NOTHING, "Dutch and Polish") in named(reading)
    far_apart = stated(random.Random(1), "Anna Lund speaks Dutch, but reads Polish.", [], triples, "user", partial=True)
    assert "Dutch, but reads Polish" not in {name for pair in named(far_apart) for name in pair}


@pytest.mark.parametrize("seed", range(6))
def test_the_same_fact_from_its_object_and_a_name_with_its_article_are_not_taught_as_wrong(seed):
    def taught(text, subject, relation, target):
        reading = stated(random.Random(seed), text, [], [Triple(subject, relation, target)], "user")
        names = [text[slice(*span)] for span in reading.spans]
        return {(names[i], names[j]) for i, j, label in reading.pairs if label == NOTHING}, set(names)

    wrong, names = taught("Then Dusk is followed by the letters.", "Dusk", "followed by", "letters")
    assert ("letters", "Dusk") not in wrong
    assert "the letters" not in names
    wrong, _ = taught("Then Dusk was written by Ann Lund.", "Dusk", "author", "Ann Lund")
    assert ("Ann Lund", "Dusk") in wrong
    _, names = zip(*(taught("We read The Hobbit by Ann.", "Hobbit", "author", "Ann") for _ in range(3)), strict=True)
    assert any("The Hobbit" in some for some in names)  # which may be the title


def test_of_what_another_sentence_says_nothing_is_taught():
    unsure = [("Oslo", "Equinor"), ("Equinor", "Oslo")]
    for seed in range(20):
        taught = {(s, o) for s, _, o in named(stated(random.Random(seed), FOCUS, [], TRIPLES, "user", unsure=unsure))}
        assert taught.isdisjoint(unsure)
    assert ("Oslo", "Equinor") in {(s, o) for s, _, o in named(stated(random.Random(1), FOCUS, [], TRIPLES, "user"))}


def test_what_is_denied_is_taught_as_nothing_between_the_very_names():
    reading = stated(random.Random(1), "Anna Lund is not allergic to cats.", [], (), "user", denied=["Anna Lund", "cats"])
    assert ("Anna Lund", NOTHING, "cats") in named(reading)
    assert ("", NOTHING, "cats") in named(reading)


KINDS = [
    "told", "several", "compound", "related", "named_later", "denied", "changed", "replied", "asked", "steps", "answered", "spoken"
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_lessons_point_at_places_of_their_text(kind):
    lessons = Lessons(3, "train")
    drawn = [reading for _ in range(40) if (reading := getattr(lessons, kind)())]
    assert drawn
    for reading in drawn:
        assert all(span == WHOLE or reading.text[span[0] : span[1]].strip() for span in reading.spans)
        assert {i for pair in reading.pairs for i in pair[:2]} | {i for i, _ in reading.asked} <= set(range(len(reading.spans)))
    labels = {label for reading in drawn for _, label in reading.asked} | {p[2] for r in drawn for p in r.pairs}
    assert (labels - {NOTHING} == set()) == (kind in ("spoken", "denied", "answered"))


def test_of_requests_those_are_taught_that_an_earlier_model_takes_for_facts():
    class Earlier:
        """Takes whatever is wanted for a wish."""

        def stated(self, focus, names, far, speaker):
            self.wish = next((name for name in names if focus == f"I want {name}."), None)
            return self

        def likeliest(self, count):
            return [("user", self.wish)] if self.wish else []

        def relations(self, subject, target):
            return {NOTHING: math.log(0.1), "wants": math.log(0.9)}

    requests = ["Thank you.", "I want to see Hustlers."]
    lessons = Lessons(3, "train", requests=requests, earlier=Earlier())
    drawn = [named(lessons.requested()) for _ in range(40)]
    wished = [pairs for pairs in drawn if ("", NOTHING, "to see Hustlers") in pairs]
    assert 20 < len(wished) < 40  # of two drawn at random, the tempting one
    assert all(relation == NOTHING for pairs in drawn for _, relation, _ in pairs)


def test_a_pronoun_asks_about_the_name_before_it_and_not_about_the_speaker():
    lessons = Lessons(3, "train")
    readings = [reading for _ in range(600) if (reading := lessons.referred())]
    alone = [reading for reading in readings if len(reading.asked) == 2]
    assert 5 < len(alone) < len(readings) / 2
    assert all(relation == NOTHING for reading in alone for _, relation in reading.asked)
    of_another = [reading.asked for reading in readings if len(reading.asked) == 1]
    assert of_another and all(relation == NOTHING for ((_, relation),) in of_another)
    for reading in (reading for reading in readings if len(reading.asked) == 3):
        (name, label), (speaker, nothing), (pronoun, none) = [(reading.spans[i], relation) for i, relation in reading.asked]
        assert name[0] == 0
        assert reading.text[name[1]] == "."
        assert label != NOTHING
        assert (speaker, nothing, none) == (WHOLE, NOTHING, NOTHING)
        assert reading.text[slice(*pronoun)].lower() in {"he", "him", "his", "she", "her", "it", "its"}


def test_her_brother_is_the_brother_of_the_one_named_before():
    lessons = Lessons(3, "train")
    readings = [reading for _ in range(200) if (reading := lessons.related())]
    before = 0
    for reading in readings:
        (subject, target, relation), (of, _, _) = [pair for pair in reading.pairs if pair[2] != NOTHING]
        assert relation in lessons.teacher.grammar.kin_words
        assert of == target
        assert reading.spans[subject] != WHOLE
        before += reading.text[reading.spans[subject][1]] == "."
    assert len(readings) / 4 < before < len(readings)


def test_a_name_that_comes_later_is_of_the_speakers_own():
    lessons = Lessons(3, "train")
    for _ in range(50):
        reading = lessons.named_later()
        ((subject, target, relation),) = [pair for pair in reading.pairs if pair[2] != NOTHING]
        assert reading.spans[subject] == WHOLE
        assert relation in lessons.teacher.grammar.kin_words
        assert "my " in reading.text[: reading.spans[target][0]]


def test_of_another_one_than_the_question_names_nothing_is_asked():
    lessons = Lessons(3, "train")
    for _ in range(50):
        if reading := lessons.answered():
            ((place, label),) = reading.asked
            assert label == NOTHING
            start, end = reading.spans[place]
            assert reading.text[start:end] not in reading.text[end:]


def test_a_later_step_is_asked_about_a_name_with_the_fact_that_found_it():
    lessons = Lessons(3, "train")
    for draw, told in ((lessons.steps, False), (lessons.answered, True)):
        readings = [reading for _ in range(200) if (reading := draw())]
        found = {tuple(part) for r in readings if len(part := r.text.split(". ")[0].split(", ")) == 3}
        names = {r.text[slice(*r.spans[i])] for r in readings for i, label in r.asked if (label == NOTHING) == told}
        sides = [subject in names for subject, relation, target in found if relation in lessons.teacher.grammar.ontology]
        assert len(sides) > 30
        assert 0 < sum(sides) < len(sides)  # of either side


def test_a_question_that_has_the_name_beside_the_words_for_it_asks_about_the_name():
    lessons = Lessons(3, "train")
    others = 0
    for _ in range(200):
        if reading := lessons.apposed():
            asked = [(reading.text[slice(*reading.spans[i])], label) for i, label in reading.asked]
            if len(asked) == 1:  # another sister, found before
                others += 1
                assert asked[0][1] == NOTHING
                assert asked[0][0] not in reading.text[reading.spans[0][1] :]
            else:
                (name, relation), (whose, nothing) = asked
                assert (relation in lessons.teacher.grammar.ontology, nothing) == (True, NOTHING)
                assert reading.text.index(name) > reading.text.index(whose)
    assert 20 < others < 100


def test_real_questions_are_asked_about_the_name_in_them():
    asked = [
        (AskedRelation("who wrote the salt road", "author", False), "the salt road"),
        (AskedRelation("name a poet", "occupation", True), "poet"),
    ]
    lessons = Lessons(3, "train", questions=asked)
    drawn = [lessons.wondered() for _ in range(20)]
    right = {(r.text[slice(*r.spans[i])], label) for r in drawn for i, label in r.asked if label != NOTHING}
    assert right == {("the salt road", "author"), ("poet", "~occupation")}


def test_what_was_taught_is_taught_further(tmp_path):
    first, second = new_encoder(1), new_encoder(2)
    path = tmp_path / "opinions.safetensors"
    save(first[0], path)
    begin_from(second[0], path)
    for name in trained(first[0]):
        assert torch.equal(second[0].state_dict()[name], first[0].state_dict()[name].half().float()), name


def test_a_relation_that_was_not_taught_yet_begins_as_the_mean_of_the_others(tmp_path):
    first, second = new_encoder(1)[0], new_encoder(2)[0]
    path = tmp_path / "opinions.safetensors"
    fewer = {task: [name for name in names if name.removeprefix("~") != "vehicle"] for task, names in first.classes.items()}
    kept = {task: [first.classes[task].index(name) for name in names] for task, names in fewer.items()}
    for layer, task in HEAD_OF.items():
        head = first.heads[layer]
        head.weight = torch.nn.Parameter(head.weight[kept[task]])
        head.bias = None if head.bias is None else torch.nn.Parameter(head.bias[kept[task]])
    first.classes = fewer
    save(first, path)
    begin_from(second, path)
    row = second.classes["asked"].index("~vehicle")
    before = first.heads["asked_out"].weight.half().float()
    assert torch.allclose(second.heads["asked_out"].weight[row], before[1:].mean(0))
    assert torch.equal(second.heads["asked_out"].weight[row - 1], before[fewer["asked"].index(second.classes["asked"][row - 1])])


def test_a_lora_is_widened_without_changing_what_it_says(tmp_path, monkeypatch):
    first, tokenizer = new_encoder(1)
    for name, value in first.named_parameters():
        if name.endswith("lora_B"):
            torch.nn.init.normal_(value, std=0.02)
    path = tmp_path / "opinions.safetensors"
    save(first, path)
    begin_from(first, path)  # as it was rounded
    monkeypatch.setattr(opinions, "RANK", 2 * opinions.RANK)
    wider = new_encoder(2)[0]
    begin_from(wider, path)
    coded = tokenizer(["Anna works for Equinor."], return_tensors="pt")
    states = [encoder.eval().read(coded["input_ids"], coded["attention_mask"]).states for encoder in (first, wider)]
    assert wider.bert.encoder.layer[0].attention.self.query.lora_A.shape[0] == 2 * len(
        first.bert.encoder.layer[0].attention.self.query.lora_A
    )
    assert torch.allclose(*states, atol=1e-4)


def test_a_lora_of_a_higher_rank_is_not_cut(tmp_path, monkeypatch):
    path = tmp_path / "opinions.safetensors"
    save(new_encoder(1)[0], path)
    monkeypatch.setattr(opinions, "RANK", opinions.RANK // 2)
    with pytest.raises(ModelError, match="of another size"):
        begin_from(new_encoder(2)[0], path)


def test_the_mean_of_two_is_what_lies_between_them(tmp_path):
    files = [tmp_path / name for name in ("one", "other", "mean")]
    encoders = [new_encoder(seed)[0] for seed in (1, 2)]
    for encoder, file in zip(encoders, files, strict=False):
        save(encoder, file)
    opinions.mean_of(files[:2], files[2])
    between = new_encoder(3)[0]
    begin_from(between, files[2])
    for name, value in between.named_parameters():
        if name in trained(between):
            wanted = sum(dict(encoder.named_parameters())[name] for encoder in encoders) / 2
            assert torch.allclose(value, wanted, atol=1e-3)


def test_there_is_no_mean_of_second_opinions_of_different_sizes(tmp_path, monkeypatch):
    save(new_encoder(1)[0], tmp_path / "one")
    monkeypatch.setattr(opinions, "RANK", opinions.RANK // 2)
    save(new_encoder(1)[0], tmp_path / "other")
    with pytest.raises(ModelError, match="no like of"):
        opinions.mean_of([tmp_path / "one", tmp_path / "other"], tmp_path / "mean")


def test_what_is_of_another_size_is_not_taught_further(tmp_path):
    first, second = new_encoder(1)[0], new_encoder(2)[0]
    path = tmp_path / "opinions.safetensors"
    first.heads["side"] = torch.nn.Linear(7, 2)
    save(first, path)
    with pytest.raises(ModelError, match="of another size"):
        begin_from(second, path)


def test_a_lora_beside_a_frozen_matrix_learns_as_by_plain_differentiation():
    torch.manual_seed(0)
    layer = torch.nn.Linear(7, 5)
    low = LowRank(layer, torch.float32)
    torch.nn.init.normal_(low.lora_B)
    x, slope = torch.randn(3, 2, 7, requires_grad=True), torch.randn(3, 2, 5)
    wanted = (x, low.lora_A, low.lora_B)
    plain = torch.nn.functional.linear(x, layer.weight.detach() + SCALE * low.lora_B @ low.lora_A, layer.bias.detach())
    given = low(x)
    assert torch.allclose(given, plain, atol=1e-5)
    for one, other in zip(torch.autograd.grad(given, wanted, slope), torch.autograd.grad(plain, wanted, slope), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_a_checkpoint_of_another_version_is_refused(tmp_path):
    encoder, tokenizer = new_encoder(1)
    path = tmp_path / "opinions.ckpt"
    torch.save({"encoder": {"bert.other": torch.zeros(1)}, "optimiser": {}, "step": 3}, path)
    with pytest.raises(ModelError, match="of another version"):
        teach(encoder, tokenizer, lambda step: iter(()), 5, checkpoint=path)


def test_a_resumed_run_asks_for_the_lessons_after_what_it_has_read(tmp_path, monkeypatch):
    monkeypatch.setattr(opinions, "BATCH", 4)
    path, asked = tmp_path / "opinions.ckpt", []

    def from_step(step):
        asked.append(step)
        return endless(Lessons(3 + step, "train"))

    for steps in (1, 2):
        encoder, tokenizer = new_encoder(1)
        teach(encoder, tokenizer, from_step, steps, checkpoint=path)
    assert asked == [0, 1]
    assert torch.load(path, weights_only=True)["step"] == 2


def test_the_shipped_form_says_what_the_trained_one_does(tmp_path):
    encoder, tokenizer = new_encoder(1, torch.float32)
    encoder.eval()
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.02)
            if name.startswith("heads"):
                parameter.mul_(3.0)
    save(encoder, tmp_path / "opinions.safetensors")
    scorer = FittedScorer.load(MiniLM(), tmp_path / "opinions.safetensors")

    reading = stated(random.Random(1), FOCUS, ["Bob"], TRIPLES, "user")
    names = [reading.text[start:end] or "user" for start, end in reading.spans]
    batch = Batch.of([reading], tokenizer, encoder.classes)
    with torch.inference_mode():
        read = encoder.read(batch.ids, batch.mask)
        wanted = encoder.pairs(read, batch.pairs[:, 0], batch.pairs[:, 1:3], batch.pairs[:, 3:5]).log_softmax(-1)
    sentence = scorer.stated(FOCUS, [name for name in names if name != "Bob"], ["Bob"], "user")
    for (i, j, _), row in zip(reading.pairs, wanted, strict=True):
        table = sentence.relations(names[i], names[j])
        assert list(table) == encoder.classes["stated"]
        assert torch.tensor(list(table.values())) == pytest.approx(row, abs=0.02)
    assert sentence.relations("Anna Lund", "Paris") == {}
    pairs = sentence.likeliest(5)
    nothing = [sentence.relations(*pair)[NOTHING] for pair in pairs]
    assert nothing == sorted(nothing)

    question = Reading("Anna. Where does my sister live?", (WHOLE, (0, 4)), asked=((0, "sister"), (1, "residence")))
    batch = Batch.of([question], tokenizer, encoder.classes)
    with torch.inference_mode():
        wanted = encoder.questions(encoder.read(batch.ids, batch.mask), batch.asked[:, 0], batch.asked[:, 1:3]).log_softmax(-1)
    tables = scorer.asked("Where does my sister live?", ["Anna"], "user")
    assert torch.tensor(list(tables["Anna"].values())) == pytest.approx(wanted[1], abs=0.02)
    assert set(scorer.asked("Where do I live?", ["user", "Anna"], "user")) == {"user", "Anna"}
    told = scorer.asked("Where does my sister live?", ["Anna"], "user", found={"Anna": "I, sister, Anna"})
    question = Reading("I, sister, Anna. Where does my sister live?", ((11, 15),), asked=((0, "residence"),))
    batch = Batch.of([question], tokenizer, encoder.classes)
    with torch.inference_mode():
        wanted = encoder.questions(encoder.read(batch.ids, batch.mask), batch.asked[:, 0], batch.asked[:, 1:3]).log_softmax(-1)
    assert torch.tensor(list(told["Anna"].values())) == pytest.approx(wanted[0], abs=0.02)


@pytest.mark.parametrize(
    ("question", "own", "likely"),
    [
        ("Where does she live?", ("she",), True),
        ("Where does my brother live?", ("my brother",), False),
        ("Where does Bo Marsh live?", ("Bo Marsh", "Bo"), False),
    ],
)
def test_of_a_name_of_before_is_asked_only_what_is_asked_of_none_in_the_question(question, own, likely):
    scorer = FittedScorer.load(MiniLM(), EMBEDDED_MODEL / OPINIONS)
    (name, table), *others = scorer.asked(question, ["Wanda Holt"], SPEAKER, own).items()
    assert (name, others) == ("Wanda Holt", [])
    assert (table["residence", False] > math.log(0.9)) == likely
    assert (table["residence", False] < math.log(0.1)) != likely
    assert sum(map(math.exp, table.values())) == pytest.approx(1.0, abs=1e-3)
    alone = scorer.asked(question, ["Wanda Holt"], SPEAKER)["Wanda Holt"]
    assert all(value <= alone[asked] + 1e-2 for asked, value in table.items() if asked[0] != NOTHING)
