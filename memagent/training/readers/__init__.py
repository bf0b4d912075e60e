"""Readers of published data sets, one file a format: each yields statements, facts, questions or talk, in our relations.

A reader takes the data folder and a `Report`, in which it counts what it could not use. Malformed input raises
InvalidInput with file and line. Splits and folds that are for evaluation are never read unless asked for.
"""

from memagent.training.readers.docred import read_docred, titles
from memagent.training.readers.facts import read_docred_facts, read_kamel, read_simple_questions
from memagent.training.readers.fewrel import read_fewrel
from memagent.training.readers.knowledgenet import read_knowledgenet
from memagent.training.readers.statements import AskedRelation, Fact, Report, Statement
from memagent.training.readers.talk import read_personas, read_task_talk
from memagent.training.readers.text2kg import read_tekgen, read_tekgen_test, read_webnlg

__all__ = [
    "AskedRelation",
    "Fact",
    "Report",
    "Statement",
    "read_docred",
    "read_docred_facts",
    "read_fewrel",
    "read_kamel",
    "read_knowledgenet",
    "read_personas",
    "read_simple_questions",
    "read_task_talk",
    "read_tekgen",
    "read_tekgen_test",
    "read_webnlg",
    "titles",
]
