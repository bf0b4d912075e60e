"""Fixtures that several test files share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from memagent import Settings
from memagent.memory import CharacterEmbedder, Memory

settings.register_profile("quick", max_examples=60, deadline=None, derandomize=True)  # the same on a busy machine
settings.load_profile("quick")


@pytest.fixture
def memory_settings() -> Settings:
    """The defaults, whatever the environment says."""
    return Settings(_env_file=None, namespace="default", database_url=None, chroma_url=None, ontology_file=None, ontology="open")


@pytest.fixture
def memory_home(tmp_path: Path) -> Path:
    return tmp_path / "memory"


@pytest.fixture
def memory(memory_home: Path, memory_settings: Settings) -> Iterator[Memory]:
    """An empty memory whose vectors are counts of trigrams."""
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as opened:
        yield opened
