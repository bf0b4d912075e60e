"""Calibration: what is recorded of the searches, and the judges fitted on it."""

import random

import pytest

from memagent import Query, Triple
from memagent.model.decoding import Judge
from memagent.training import calibrate
from memagent.training.calibrate import Recorder, _key, calibration_error, fit_judge, text_decisions, write_decisions
from memagent.training.examples import Teacher
from memagent.training.grammar.engine import Grammar
from memagent.training.readers import Statement


class Writer:
    """Writes what it is given, as far as its judge lets it, and nothing that the judge would not let pass."""

    def __init__(self, marks, invented):
        self.marks, self.invented = marks, invented

    def judges(self, write):
        self.judge = write

    def talked_about(self, request):
        assert request.context and not request.focus.endswith("?")
        return request.known

    def search(self, request):
        found = []
        for i in range(self.invented):
            if self.judge.at_most((0.0,)) < self.judge.keep or self.judge.probability((float(i),)) < self.judge.keep:
                break
            found.append(Triple(f"name {i}", "likes", "tea"))
        return found


def test_a_sentence_is_recorded_up_to_its_second_wrong_triple(marks):
    decisions = write_decisions(Writer(marks, 8), 1, 5, Judge(()))
    assert [(features[0], right) for features, right in decisions] == [(0.0, False), (1.0, False)] * 5
    assert len(write_decisions(Writer(marks, 1), 1, 5, Judge(()))) == 5


def test_in_a_document_the_same_from_the_other_side_is_right_and_what_another_sentence_says_is_left_out():
    class Reader:
        found = (Triple("Velm", "capital of", "Ruria"), Triple("Velm", "residence", "Ann"), Triple("Ann", "residence", "Ruria"))

        def judges(self, text):
            self.judge = text

        def search(self, request):
            self.asked = request
            return [triple for i, triple in enumerate(self.found) if self.judge.probability((float(i),))]

    gold = (Triple("Ruria", "capital", "Velm"),)
    focus = "Ann came from Velm to Ruria."
    statement = Statement("She is old. She sings.", focus, gold, "documents", elsewhere=(("Ann", "Velm"),))
    reader = Reader()
    decisions = text_decisions(reader, [statement], Judge(()))
    assert decisions == [((0.0,), True), ((2.0,), False)]
    assert reader.asked.context == ("She is old.", "She sings.")


def test_a_name_is_right_with_its_article_and_without():
    assert _key(Triple("the Winter Fair", "start time", "a Monday")) == _key(Triple("Winter fair", "start time", "Monday"))
    assert _key(Triple("theatre", "owned by", "Ann")) != _key(Triple("atre", "owned by", "Ann"))


def test_a_recorder_lets_no_more_pass_than_could_be_needed():
    recorder = Recorder(most=2)
    assert [(recorder.at_most(()), recorder.probability((float(i),))) for i in range(3)] == [(1.0, 1.0), (1.0, 1.0), (0.0, 0.0)]
    assert recorder.seen == [(0.0,), (1.0,), (2.0,)]


def test_a_recorder_orders_triples_as_another_judge_does():
    recorder = Recorder(like=Judge((0.0, 1.0)))
    assert recorder.rank((1.0, 2.0)) == Judge((0.0, 1.0)).probability((1.0, 2.0)) > recorder.rank((1.0, 1.0))
    assert recorder.seen == []


def test_a_judge_is_fitted_to_how_often_calls_are_right():
    rng = random.Random(3)
    truth = Judge((0.5, 2.0))
    drawn = [(1.0, rng.gauss(0.0, 1.0)) for _ in range(2000)]
    decisions = [(features, rng.random() < truth.probability(features)) for features in drawn]
    judge = fit_judge(decisions[:1000], 3.0)
    assert judge.weights == pytest.approx(truth.weights, abs=0.4)
    assert judge.relation == 3.0
    assert 0.25 <= judge.keep <= 0.5
    assert calibration_error(judge, decisions[1000:]) < 0.08
    assert calibration_error(Judge((-3.0, 0.0)), decisions[1000:]) > 0.3


def test_what_is_known_of_another_one_is_no_answer(marks):
    teacher, rng = Teacher(marks, Grammar(3, "held out")), random.Random(3)
    cases = [case for _ in range(60) if (case := calibrate._of_another(teacher, rng))]
    strange = [case for case in cases if case.right is None]
    assert 10 < len(strange) < 50
    for case in cases:
        same = case.others[0]
        assert same.known in case.turns[0][1]
        assert same.known == case.entities[-1]
        assert same != case.right
        assert case.right is None or (same.relation, case.right.known) == (case.right.relation, case.entities[0])


def test_a_pronoun_stands_for_one_of_the_turn_before(marks):
    teacher, rng = Teacher(marks, Grammar(3, "held out")), random.Random(3)
    cases = [case for _ in range(60) if (case := calibrate._referred(teacher, rng))]
    assert cases
    for case in cases:
        assert case.right.known in case.turns[0][1]
        assert case.right.known not in case.text
        assert case.entities == (case.right.known,)


def test_what_could_be_mistaken_for_the_answer_is_no_form_of_it():
    class Reader:
        class second:
            @staticmethod
            def asked(question, entities, speaker, found):
                likely = ["", "sibling", "brother", "cousin", "friend", "neighbour", "employer"]
                return {"Ann": {(relation, False): -float(i) for i, relation in enumerate(likely)}}

    right = Query("Ann", "sibling", None)
    mistaken = calibrate._mistaken(Reader, calibrate.Case("Who is Ann's sibling?", ("Ann",), right, ()))
    assert [query.relation for query in mistaken] == ["cousin", "friend", "neighbour"]
    assert calibrate._mistaken(Reader, calibrate.Case("Well.", ("Ann",), None, ())) == []
