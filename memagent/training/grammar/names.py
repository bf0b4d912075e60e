"""Names to fill the phrasings with: from pools, invented, or from real facts.

Every draw is seeded. A pool's names are divided between training and our own tests by a hash, so that no test name was
ever seen; invented names differ by their seed. Half of the names are invented, so that a model must copy, not recall.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memagent.training.grammar.phrasings import Split, lists

FLAVOURS = ("", "_soft", "_east", "_slavic", "_romance", "_northern", "_african")  # of syllables, so that words sound of many places
SYLLABLES = ("onset", "nucleus", "coda")  # whose pools are shared by both splits
MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
]  # fmt: skip


NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
WEIGHTS = ("kg", "kilos", "kilograms", "pounds", "lbs")
RHESUS = (" positive", " negative", "+", "-", "−")
TEAMS = ("{} United", "FC {}", "{} Rovers", "{} Tigers", "Real {}", "SC {}", "{}")
CATALOGUES = ("HD", "HR", "NGC", "IC", "Messier", "Gliese", "Kepler", "HIP", "PSR", "Abell")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "next Friday", "this Sunday")


@dataclass(frozen=True, slots=True)
class Name:
    """`text` as it stands in a sentence, `name` the part of it that a call names, `pronoun` that may stand for it."""

    text: str
    name: str
    pronoun: str = ""  # he, she, it; empty: none is safe
    kind: str = ""

    @classmethod
    def plain(cls, text: str, pronoun: str = "", kind: str = "") -> Name:
        """A name that is written as it is called."""
        return cls(text, text, pronoun, kind)


def in_split(word: str, split: Split) -> bool:
    """A fifth of each pool is kept for tests."""
    return (hashlib.sha256(b"name" + word.encode()).digest()[0] % 5 == 0) == (split == "held out")


class Names:
    """Draws names of any kind."""

    def __init__(self, rng: random.Random, split: Split = "train", invented: float = 0.4) -> None:
        self.rng = rng
        self.invented = invented
        self.pools: dict[str, list[str]] = {
            key: [w for w in words if in_split(w, split)] if len(words) >= 50 and not key.startswith(SYLLABLES) else list(words)
            for key, words in _string_lists(lists("names.toml")).items()
        }
        self._makers: dict[str, Callable[[], Name]] = {
            "person": self.person,
            "woman": lambda: self.person(True),
            "man": lambda: self.person(False),
            "place": self.place,
            "organization": self.organization,
            "work": self.work,
            "product": self.product,
            "date": lambda: Name.plain(self.date()),
            "birthday": lambda: Name.plain(self.day()),
            "time": lambda: Name.plain(self.time()),
            "hours": lambda: Name.plain(self.hours()),
            "number": lambda: Name.plain(self.number(2, 90)),
            "small number": lambda: Name.plain(self.number(1, 12)),
            "shoe size": lambda: Name.plain(self.number(34, 48)),
            "population": lambda: Name.plain(self.population()),
            "percent": lambda: Name.plain(self.percent()),
            "height": lambda: Name.plain(self.height()),
            "weight": lambda: Name.plain(f"{self.number(2, 140)} {self.rng.choice(WEIGHTS)}"),
            "price": lambda: Name.plain(self.price()),
            "duration": lambda: Name.plain(self.duration()),
            "amount": lambda: Name.plain(self.price()),
            "code": lambda: Name.plain(self.code()),
            "phone": lambda: Name.plain(self.phone()),
            "email": lambda: Name.plain(self.email()),
            "website": lambda: Name.plain(self.website()),
            "street address": lambda: Name.plain(self.street()),
            "blood type": lambda: Name.plain(self.rng.choice(["A", "B", "AB", "0", "O"]) + self.rng.choice(RHESUS)),
            "currency": lambda: self.pooled("currency") if "currency" in self.pools else Name.plain(self.word().lower()),
            "thing": self.thing,
            "owned_thing": lambda: self.pooled("owned_thing", "it"),
            "animal": lambda: self.pooled("animal"),
            "pet_name": lambda: self.pooled_or_word("pet_name"),
            "nickname": lambda: self.pooled_or_word("nickname"),
            "team": self.team,
            "water": lambda: self.pooled_or_word("water", "it"),
            "event": lambda: self.pooled("event", "it"),
            "taxon": lambda: self.pooled_or_word("taxon"),
            "country": lambda: self.pooled_or_word("country", "it", 0.3),
            "star": self.star,
            "landform": self.landform,
            "noble family": lambda: Name.plain(self._pattern("noble family pattern")),
            "airport": lambda: Name.plain(self._pattern("airport pattern"), "it"),
            "venue": lambda: Name.plain(self._pattern("venue pattern"), "it"),
        }

    def of(self, kind: str) -> Name:
        """A name of that kind; a kind without a maker of its own is drawn from the pool of that name."""
        maker = self._makers.get(kind)
        name = maker() if maker is not None else self.pooled(kind)
        return Name(name.text, name.name, name.pronoun, kind)

    def pooled(self, pool: str, pronoun: str = "") -> Name:
        """One of a pool."""
        return Name.plain(self.rng.choice(self.pools[pool]), pronoun)

    def pooled_or_word(self, pool: str, pronoun: str = "", share: float | None = None) -> Name:
        """One of a pool, or an invented word."""
        if self.rng.random() < (self.invented if share is None else share):
            return Name.plain(self.word(), pronoun)
        return self.pooled(pool, pronoun)

    def word(self, syllables: int | None = None) -> str:
        """An invented word with a capital."""
        flavour = self.rng.choice(FLAVOURS)
        onset, nucleus, coda = (self.pools[part + flavour] for part in ("onset", "nucleus", "coda"))
        parts = []
        for i in range(count := syllables or self.rng.choice([1, 2, 2, 2, 2, 3])):
            parts.append(self.rng.choice(onset) + self.rng.choice(nucleus))
            if i == count - 1 or self.rng.random() < 0.25:
                parts.append(self.rng.choice(coda))
        return "".join(parts).capitalize()

    def person(self, female: bool | None = None) -> Name:
        """Full names mostly; first names, initials, titles."""
        female = self.rng.random() < 0.5 if female is None else female
        pronoun = "she" if female else "he"
        if self.rng.random() < self.invented:
            given, surname = self.word(), self.word()
        else:
            given = self.rng.choice(self.pools["given_female" if female else "given_male"])
            surname = self.rng.choice(self.pools["surname"])
        initial = self.rng.choice("ABCDEFGHIJKLMNOPRSTVW")
        draw = self.rng.random()
        if draw < 0.62:
            return Name.plain(f"{given} {surname}", pronoun)
        if draw < 0.80:
            return Name.plain(given, pronoun)
        if draw < 0.86:
            return Name.plain(f"{given} {initial}. {surname}", pronoun)
        if draw < 0.90:
            return Name.plain(f"{initial}. {self.rng.choice(['', self.rng.choice('ABCEJMR') + '. '])}{surname}", pronoun)
        if draw < 0.96:
            return Name.plain(f"{self.rng.choice(self.pools['title'])} {self.rng.choice(['', given + ' '])}{surname}", pronoun)
        if draw < 0.98:
            return Name.plain(f"{self.rng.choice(self.pools['familiar_title'])} {given}", pronoun)
        return Name.plain(f"{given} {self.word(2)} {surname}", pronoun)

    def given_name(self, female: bool | None = None) -> Name:
        """A first name."""
        female = self.rng.random() < 0.5 if female is None else female
        if self.rng.random() < self.invented / 2:
            return Name.plain(self.word(), "")
        return Name.plain(self.rng.choice(self.pools["given_female" if female else "given_male"]), "she" if female else "he")

    def _pattern(self, pool: str) -> str:
        pattern = self.rng.choice(self.pools[pool])
        surname = self.word() if self.rng.random() < 0.6 else self.rng.choice(self.pools["surname"])
        place = self.word() if self.rng.random() < 0.4 else self.rng.choice(self.pools["place"])
        return pattern.replace("{n}", surname).replace("{p}", place)

    def place(self) -> Name:
        """A town, real or invented."""
        if self.rng.random() < self.invented:
            return Name.plain(self._pattern("place_pattern") if self.rng.random() < 0.5 else self.word(), "it")
        return self.pooled("place", "it")

    def organization(self) -> Name:
        """A company, school, club or party, real or invented."""
        if self.rng.random() < self.invented + 0.1:
            return Name.plain(self._pattern("institution_pattern") if self.rng.random() < 0.7 else self.word(), "it")
        return self.pooled("organization", "it")

    def work(self) -> Name:
        """A title."""
        if self.rng.random() < self.invented:
            return Name.plain(self._pattern("work_pattern"), "it")
        return self.pooled("work", "it")

    def team(self) -> Name:
        """A sports team."""
        if self.rng.random() < self.invented:
            return Name.plain(self.rng.choice(TEAMS).format(self.word()), "it")
        return self.pooled("team", "it")

    def product(self) -> Name:
        """A product, often with a number."""
        if self.rng.random() < self.invented:
            return Name.plain(
                f"{self.word()} {self.rng.choice(['', str(self.rng.randint(2, 900)), 'X', 'Pro', 'Mini', 'II'])}".strip(), "it"
            )
        return self.pooled("product", "it")

    def star(self) -> Name:
        """A star, nebula or galaxy, often by its number in a catalogue."""
        if self.rng.random() < self.invented:
            highest = 230_000 if self.rng.random() < 0.5 else 9_000
            return Name.plain(f"{self.rng.choice(CATALOGUES)} {self.rng.randint(2, highest)}", "it")
        return self.pooled("star", "it")

    def landform(self) -> Name:
        """A feature of a planet or moon."""
        if self.rng.random() < self.invented:
            return Name.plain(f"{self.word()} {self.rng.choice(self.pools['landform kind'])}", "it")
        return self.pooled("landform", "it")

    def thing(self) -> Name:
        """An everyday thing with an article that is not part of its name, or with a possessive that is."""
        if self.rng.random() < 0.4:
            return self.pooled("owned_thing", "it")
        noun = self.rng.choice(self.pools["thing"])
        return Name(f"the {noun}", noun, "it")

    def bare_thing(self) -> Name:
        """A common noun without an article."""
        return self.pooled("thing")

    def day(self) -> str:
        """A day of the year."""
        day, month = self.rng.randint(1, 28), self.rng.choice(MONTHS)
        ending = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
        return self.rng.choice(
            [f"{day} {month}", f"{month} {day}", f"the {day}{ending} of {month}", f"{month} {day}{ending}", f"{day}{ending} {month}"]
        )

    def date(self) -> str:
        """A date, to the day, month or year."""
        year = str(self.rng.randint(1200, 2035) if self.rng.random() < 0.3 else self.rng.randint(1900, 2030))
        day, month = self.rng.randint(1, 28), self.rng.choice(MONTHS)
        iso = f"{year}-{MONTHS.index(month) + 1:02d}-{day:02d}"
        forms = [f"{day} {month} {year}", f"{month} {day}, {year}", f"{month} {year}", year, year, iso]
        if self.rng.random() < 0.15:
            return self.rng.choice([*DAYS, self.day(), self.day()])
        return self.rng.choice(forms)

    def time(self) -> str:
        """A time of day."""
        hour, minute = self.rng.randint(1, 12), self.rng.choice([0, 5, 10, 15, 20, 30, 45, 50])
        return self.rng.choice(
            [
                f"{hour} {self.rng.choice(['am', 'pm', 'a.m.', 'p.m.', 'o’clock'])}",
                f"{hour % 12 + self.rng.choice([0, 12])}:{minute:02d}",
                f"half past {self.rng.choice(['six', 'seven', 'eight', 'nine', 'ten', 'two', 'three'])}",
                f"{hour}:{minute:02d} {self.rng.choice(['am', 'pm'])}",
                "noon",
            ]
        )

    def hours(self) -> str:
        """Opening hours."""
        start, stop = self.rng.randint(6, 11), self.rng.randint(2, 10)
        late = stop + 12
        return self.rng.choice(
            [
                f"{start} am to {stop} pm",
                f"{start}:00 to {late}:00",
                f"{start} to {stop}",
                f"{start}:30–{late}:00",
                f"{start} am until {stop} pm",
            ]
        )

    def number(self, low: int, high: int) -> str:
        """A whole number, now and then in words."""
        value = self.rng.randint(low, high)
        return NUMBERS[value] if value < len(NUMBERS) and self.rng.random() < 0.5 else str(value)

    def percent(self) -> str:
        """A share in percent."""
        whole, part = self.rng.randint(1, 24), self.rng.choice(["", f".{self.rng.randint(1, 9)}"])
        return f"{whole}{part}{self.rng.choice(['%', ' percent', ' %'])}"

    def population(self) -> str:
        """A number of inhabitants."""
        value = int(10 ** self.rng.uniform(2, 8))
        rough = f"{value / 1e6:.1f} million" if value > 1e6 else f"{value:,}"
        return self.rng.choice([f"{value:,}", str(value), rough, f"about {round(value, -2):,}"])

    def height(self) -> str:
        """A height."""
        return self.rng.choice(
            [
                f"1.{self.rng.randint(40, 99)} m",
                f"{self.rng.randint(140, 210)} cm",
                f"{self.rng.randint(4, 6)} feet {self.rng.randint(1, 11)}",
                f"{self.rng.randint(12, 8000):,} metres",
                f"{self.rng.randint(12, 900)} m",
            ]
        )

    def price(self) -> str:
        """An amount of money."""
        value = self.rng.choice([self.rng.randint(1, 99), self.rng.randint(100, 5000)])
        cents, centimes = self.rng.randint(10, 99), self.rng.randint(10, 99)
        return self.rng.choice(
            [
                f"{value} euros",
                f"${value}",
                f"£{value}",
                f"{value}.{cents} euros",
                f"{value} dollars",
                f"{value},{centimes} €",
                f"{value} francs",
            ]
        )

    def duration(self) -> str:
        """A length of time."""
        return f"{self.number(2, 60)} {self.rng.choice(['minutes', 'hours', 'days', 'weeks', 'months', 'years', 'hours and a half'])}"

    def code(self) -> str:
        """A code, PIN or password."""
        digits = "".join(self.rng.choice("0123456789") for _ in range(self.rng.randint(4, 6)))
        letters = "".join(self.rng.choice("ABCDEFGHKMNPRSTXYZ") for _ in range(self.rng.randint(1, 3)))
        spoken = f"{self.word(2).lower()}{digits[:2]}"
        return self.rng.choice([digits, digits, f"{digits}-{letters}", f"{letters}{digits}", f"{letters}-{digits}", spoken, f"#{digits}"])

    def phone(self) -> str:
        """A telephone number."""
        land, area, line, last = ("".join(self.rng.choice("0123456789") for _ in range(n)) for n in (2, 3, 4, 3))
        return self.rng.choice(
            [f"+{land} {area} {line}", f"0{area} {line} {last}", f"{area}-{line}", f"555-{line}", f"({last}) {area}-{line}"]
        )

    def _user(self) -> str:
        given = self.rng.choice(self.pools["given_female"]).lower().replace(" ", "")
        return self.rng.choice([self.word(2).lower(), given, f"{self.rng.choice('abcdjkm')}.{self.word(2).lower()}"])

    def email(self) -> str:
        """An email address."""
        return f"{self._user()}@{self.rng.choice(['example.org', 'mail.com', 'post.net', self.word(2).lower() + '.com', 'uni.edu'])}"

    def website(self) -> str:
        """A web address."""
        start, end = self.rng.choice(["www.", "", "https://"]), self.rng.choice(["com", "org", "net", "io", "co.uk", "de"])
        return f"{start}{self.word(2).lower()}.{end}"

    def street(self) -> str:
        """A street and number."""
        street = f"{self.word()} {self.rng.choice(['Street', 'Road', 'Avenue', 'Lane', 'Square', 'Way'])}"
        house = self.rng.randint(1, 200)
        return self.rng.choice([f"{house} {street}", f"{street} {house}", f"{self.word()}strasse {self.rng.randint(1, 99)}"])


def _string_lists(table: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    return {key: value for key, value in table.items() if isinstance(value, list)}
