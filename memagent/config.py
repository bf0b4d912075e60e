"""Settings, from `MEMAGENT_*` in the environment and from `.env`; `.env.example` lists each with its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

EMBEDDED_MODEL = Path(__file__).parent / "model" / "mini"


class Settings(BaseSettings):
    """Everything that can be set; an argument in code wins over the environment, that over `.env`."""

    model_config = SettingsConfigDict(env_prefix="MEMAGENT_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Path.home() / ".memagent"
    namespace: str = "default"
    speaker: str = "user"
    database_url: str | None = None
    chroma_url: str | None = None
    ontology_file: Path | None = None
    ontology: Literal["closed", "open"] = "open"
    model: str = str(EMBEDDED_MODEL)
    adapters: str | None = None
    threads: int = Field(2, ge=1)
    int8: bool | None = None
    min_confidence: float | None = Field(None, ge=0.0, le=1.0)
    max_reads: int = Field(4, ge=0, le=32)
    max_tokens: int = Field(64, ge=1)
    passages_stand_in: bool = False
    approve_writes: bool = False
