"""Fixtures that several test files share."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import servers
from hypothesis import settings

from memagent import Settings
from memagent.memory import CharacterEmbedder, Memory, database

settings.register_profile("quick", max_examples=30, deadline=None, derandomize=True)  # the same on a busy machine
settings.register_profile("thorough", max_examples=5000, deadline=None)  # pytest --hypothesis-profile=thorough
settings.load_profile("quick")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests under the mark `databases` run on both, or on those that it names; "servers" is PostgreSQL and a Chroma server."""
    marker = metafunc.definition.get_closest_marker("databases")
    if marker is not None and "database_url" in metafunc.fixturenames:
        metafunc.parametrize("database_url", marker.args or ("sqlite", "postgresql"), indirect=True)


@pytest.fixture(scope="session", autouse=True)
def quick_commits() -> Iterator[None]:
    """What the tests write need not outlive a power cut: a commit waits for no disk."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(database, "PRAGMAS", (*database.PRAGMAS, "synchronous=OFF"))
        yield


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(servers.postgresql())
        except servers.NoServer as reason:
            pytest.skip(str(reason))
        yield url


@pytest.fixture(scope="session")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Chroma server."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(servers.chroma(tmp_path_factory.mktemp("chroma")))
        except servers.NoServer as reason:
            pytest.skip(str(reason))
        yield url


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """An empty database: None is the folder's own."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield None
        return
    with servers.schema(request.getfixturevalue("postgresql")) as url:
        yield url


@pytest.fixture
def chroma_url(request: pytest.FixtureRequest, database_url: str | None) -> str | None:
    """Where the index is: None is the folder."""
    callspec = getattr(request.node, "callspec", None)
    on_server = callspec is not None and callspec.params.get("database_url") == "servers"
    return request.getfixturevalue("chroma") if on_server else None


@pytest.fixture
def memory_settings(database_url: str | None, chroma_url: str | None) -> Settings:
    """The defaults, whatever the environment says."""
    given = {"database_url": database_url, "chroma_url": chroma_url}
    return Settings(_env_file=None, namespace="default", ontology_file=None, ontology="open", **given)


@pytest.fixture
def memory_home(tmp_path: Path) -> Path:
    return tmp_path / "memory"


@pytest.fixture
def memory(memory_home: Path, memory_settings: Settings) -> Iterator[Memory]:
    """An empty memory whose vectors are counts of trigrams."""
    with Memory.open(memory_home, settings=memory_settings, embedder=CharacterEmbedder()) as opened:
        yield opened


SENTENCES = (
    "user: Where does Anna live? assistant: Anna lives in Oslo.",
    "Marie Curie was born in Warsaw. She worked in Paris with Pierre.",
    "My sister Anna has a cat called Miso. I do not know. In Oslo, where my sister lives.",
    "The capital of Elbonia is now Glim, and its mayor is Zorblax Quimby.",
    "residence place of birth capital employer sister pet likes spouse",
)


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """Whose tokens are the words of `SENTENCES`, the marks, and bytes."""
    from memagent.training.tokens import train_tokenizer

    return train_tokenizer([f" {sentence}" for sentence in SENTENCES], 1000)


@pytest.fixture(scope="session")
def marks(tiny_tokenizer: Any) -> Any:
    from memagent.model.marks import Marks

    return Marks(tiny_tokenizer)
