"""Invented people: names from many countries, put together at random, and the addresses that they type."""

from random import Random
from typing import NamedTuple

GIVEN = """
    Amara Aiko Alejandro Anneke Arjun Astrid Ayodele Beatriz Bohdan Camille Caoimhe Chidi Dagny Darius Deniz
    Eilidh Elif Emeka Esra Fatou Farid Giulia Gwen Hiroshi Ilse Imani Ioana Isidro Jadwiga Javier Jomo Kaito
    Katarina Kwame Lakshmi Leila Linnea Lorenzo Magda Malik Marisol Mateus Mirela Naveen Niamh Noemi Nuria
    Olamide Oriol Pavel Paloma Quynh Rafaela Rania Roisin Sakura Sanjay Saoirse Selim Signe Soraya Tadeusz Tariq
    Thandi Tomas Ulrike Valentina Wiktor Xiomara Yara Yevhen Yuki Zainab Zdenka Zora
""".split()  # noqa: SIM905  a list of words reads better as words
FAMILY = """
    Abubakar Adeyemi Andersson Araujo Aydin Banerjee Bianchi Brandt Castellanos Chaudhry Cisse Costa Dahlberg
    Delacroix Demir Dlamini Drozd Dvorak Echeverria Eze Falkenberg Ferreira Fitzgerald Fujimoto Gallagher
    Georgiou Guerrero Haddad Halvorsen Horvat Ibarra Ikeda Iyer Jankovic Kaplan Karlsen Keita Kimathi Kovacs
    Krishnan Laurent Lefebvre Lindholm MacLeod Mancini Marchetti Mbeki Meszaros Molina Mwangi Navarro Ndiaye
    Nowak Obregon Okonkwo Olsen Oyelaran Papadakis Pereira Popescu Quintero Rahman Ramirez Reyes Rosendahl
    Sandoval Santoro Sato Shevchenko Silva Sorensen Stoica Suzuki Szabo Takahashi Thibault Tveit Ueno Urbano
    Vasiliou Vermeulen Villanueva Wachira Wisniewski Yamada Yildirim Zaman Zielinski
""".split()  # noqa: SIM905  a list of words reads better as words
# Reserved for examples: nobody has an address there.
EXAMPLE_DOMAINS = (
    "example.com",
    "example.org",
    "example.net",
    "mail.example.com",
    "post.example.org",
    "web.example.net",
)
# Real ones, for misspellings that look like the ones people make; addresses there carry four digits of our own.
WELL_KNOWN_DOMAINS = ("gmail.com", "outlook.com", "icloud.com", "proton.me")
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Person(NamedTuple):
    """Somebody with an account, or who could have one."""

    name: str
    email: str
    user_id: str


# Which part of all names belongs to which section: nobody has a namesake by accident.
SECTIONS = {
    "crowd": (0, 2200),
    "diary": (2200, 3400),
    "purchases": (3400, 4400),
    "businesses": (4400, 4400),
    "switched": (4400, 4400),
    "client_cases": (4400, 4400),
    "compared": (4400, 4400),
    "desk": (4400, 4400),
    "clients_of_the_desk": (4400, 4600),
}


class Invention:
    """Makes people and ids of one section up; the same for the same seed, whatever other sections do."""

    def __init__(self, seed: int, section: str) -> None:
        self.random = Random(f"{seed}:{section}")
        names = [(given, family) for given in GIVEN for family in FAMILY]
        Random(seed).shuffle(names)
        self._names = iter(names[slice(*SECTIONS[section])])

    def person(self, *, well_known: bool | None = None) -> Person:
        given, family = next(self._names)
        email = self._email(given, family, self.random.random() < 0.3 if well_known is None else well_known)
        return Person(f"{given} {family}", email, self.user_id())

    def _email(self, given: str, family: str, well_known: bool) -> str:
        given, family = given.lower(), family.lower()
        if well_known:
            return f"{given}.{family}{self.random.randrange(1000, 10_000)}@{self.random.choice(WELL_KNOWN_DOMAINS)}"
        local = self.random.choice((f"{given}.{family}", f"{given}{family}", f"{given}_{family}"))
        number = self.random.randrange(10, 100) if self.random.random() < 0.35 else ""
        return f"{local}{number}@{self.random.choice(EXAMPLE_DOMAINS)}"

    def user_id(self) -> str:
        """As Clerk writes them."""
        return "user_2" + self.letters(26)

    def whop_id(self, prefix: str) -> str:
        return f"{prefix}_{self.random.getrandbits(56):014x}"

    def letters(self, length: int) -> str:
        return "".join(self.random.choices(ALPHABET, k=length))


def with_swapped_domain(email: str) -> str:
    """gmail.com as a hurried hand types it."""
    local, _, domain = email.partition("@")
    return f"{local}@{domain[0]}{domain[2]}{domain[1]}{domain[3:]}"


def with_dropped_letter(email: str) -> str:
    """The address with a letter missing in the middle of the given name: another mailbox, likely the same person."""
    local, _, domain = email.partition("@")
    middle = len(local.partition(".")[0]) // 2
    return f"{local[:middle]}{local[middle + 1 :]}@{domain}"


def with_tag(email: str, tag: str) -> str:
    """The address with `+tag`: the same mailbox at providers that know plus addressing (RFC 5233)."""
    local, _, domain = email.partition("@")
    return f"{local}+{tag}@{domain}"


def without_dots(email: str) -> str:
    """The address without dots before the @: the same mailbox at Gmail, another one elsewhere."""
    local, _, domain = email.partition("@")
    return f"{local.replace('.', '')}@{domain}"


def in_other_case(email: str) -> str:
    """The address with capitals: the same address here, because addresses are compared without case."""
    local, _, domain = email.partition("@")
    return f"{'.'.join(part.capitalize() for part in local.split('.'))}@{domain.capitalize()}"
