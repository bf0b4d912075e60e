"""What people hand in: text on the command line, on standard input, in files. What is no text is refused, with the reason."""

from __future__ import annotations

import sys
from pathlib import Path

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
