"""What people hand in: settings, and text on the command line, on standard input, in files. The unusable is refused, with the reason."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import ValidationError

from memagent.config import Settings
from memagent.errors import InvalidInput

MAX_TEXT = 200_000  # characters of one `remember`; `ingest` takes more


def given_text(text: str) -> str:
    """The text of an argument, or standard input for "-".

    Raises:
        InvalidInput: it is empty, not text, or longer than `MAX_TEXT`.
    """
    if text == "-":
        data = sys.stdin.buffer.read(4 * MAX_TEXT + 1)  # UTF-8 has at most four bytes a character
        if len(data) > 4 * MAX_TEXT and b"\x00" not in data:
            raise _too_long()
        text = _decode(data, "standard input")
    if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidInput("this is not text", hint="binary files cannot be remembered; text must be UTF-8")
    if not text.strip():
        raise InvalidInput("there is no text", hint='give a sentence, or "-" to read standard input')
    if len(text) > MAX_TEXT:
        raise _too_long()
    return text


def given_settings(**given: str) -> Settings:
    """The settings, with those that were given on the command line.

    Raises:
        InvalidInput: one of them cannot be read; the message names it.
    """
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = error.errors()[0]
        name = "_".join(("MEMAGENT", *map(str, wrong["loc"]))).upper()
        raise InvalidInput(f"{name}: {wrong['msg']}", hint=".env.example lists every setting") from error
    return settings.model_copy(update={"home": settings.home.expanduser()})


def file_text(name: str) -> str:
    """The text of a file, of whatever length.

    Raises:
        InvalidInput: it cannot be read, is empty, or not UTF-8.
    """
    try:
        data = Path(name).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}") from error
    text = _decode(data, name)
    if not text.strip():
        raise InvalidInput(f"{name} is empty")
    return text


def _decode(data: bytes, name: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not UTF-8 text (byte {error.start})", hint="binary files cannot be remembered") from error
    if "\x00" in text:
        raise InvalidInput(f"{name} is a binary file", hint="only text can be remembered")
    return text


def _too_long() -> InvalidInput:
    return InvalidInput(f"the text has more than {MAX_TEXT:,} characters", hint="put it into a file: python -m memagent ingest FILE")
