"""What a password must be, and how it is kept: argon2id, with its parameters raised as time goes by."""

import re
import secrets
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from admin_app.errors import InvalidInput

SHORTEST = 12
LONGEST = 256

# A little over OWASP's floor: about 40 ms and 32 MiB each, so that a burst cannot exhaust the memory.
_hasher = PasswordHasher(time_cost=3, memory_cost=32 * 1024, parallelism=1)

# What is left of the passwords that people try first when digits and signs are taken away.
_COMMON = frozenset(
    [
        "password",
        "passwort",
        "passwords",
        "passwordpassword",
        "mypassword",
        "admin",
        "administrator",
        "adminadmin",
        "welcome",
        "welcomehome",
        "letmein",
        "iloveyou",
        "ilovemyself",
        "monkey",
        "dragon",
        "sunshine",
        "princess",
        "football",
        "baseball",
        "superman",
        "batman",
        "starwars",
        "trustnoone",
        "changeme",
        "changemenow",
        "changeit",
        "secret",
        "secretpassword",
        "master",
        "login",
        "qwerty",
        "qwertyuiop",
        "qwertyqwerty",
        "qwertyuiopasdf",
        "asdfghjkl",
        "asdfghjklasdf",
        "zxcvbnm",
        "qazwsxedc",
        "qazwsxedcrfv",
        "abcdefghijkl",
        "abcdefghijklm",
        "abc",
        "test",
        "testtest",
        "testpassword",
        "temppassword",
        "temporarypassword",
        "default",
        "defaultpassword",
        "backdesk",
        "backdeskadmin",
        "backdeskpassword",
        "support",
        "supportsupport",
        "finance",
        "auditor",
        "correcthorsebatterystaple",
    ]
)
_LOOKALIKES = str.maketrans("013457@$!", "oieastasi")


def _normal(password: str) -> str:
    """The same text however the keyboard composed it."""
    return unicodedata.normalize("NFKC", password)


def _is_common(password: str) -> bool:
    lowered = password.casefold()
    plain = re.sub(r"[^a-z]", "", lowered)
    translated = re.sub(r"[^a-z]", "", lowered.translate(_LOOKALIKES))
    stem = re.sub(r"[^a-z]", "", lowered.rstrip("0123456789!?.-_#*").translate(_LOOKALIKES))
    return len(set(lowered)) < 5 or not _COMMON.isdisjoint({plain, translated, stem}) or lowered.isdigit()


def check_strength(password: str, *, email: str, field: str = "password") -> None:
    """Refuse a password that is short, made of the own address, or among the first that anyone tries."""
    lowered, address = password.casefold(), email.casefold()
    if len(_normal(password)) < SHORTEST:
        sentence = f"The password is too short: use at least {SHORTEST} characters."
    elif len(password) > LONGEST:
        sentence = f"The password is too long: use at most {LONGEST} characters."
    elif any(unicodedata.category(character) in {"Cc", "Cs"} for character in password):
        sentence = "The password holds characters that cannot be typed again, such as a line break. Leave them out."
    elif lowered == address or re.sub(r"[\d\W_]+$", "", lowered) in {address, address.partition("@")[0]}:
        sentence = "The password is made of the e-mail address. Choose another one."
    elif _is_common(password):
        sentence = "This password is among the first that anyone would try. Choose another one."
    else:
        return
    raise InvalidInput(sentence, code="weak_password", fields={field: sentence})


def generate() -> str:
    """A password for one hand-over: 120 random bits, easy to copy."""
    return secrets.token_urlsafe(15)


def hash_password(password: str) -> str:
    """The password's Argon2 hash with its salt and parameters, of its NFKC form. Nothing is checked here."""
    return _hasher.hash(_normal(password))


@cache
def _decoy() -> str:
    return _hasher.hash(secrets.token_hex())


def matches(password_hash: str | None, password: str) -> bool:
    """Whether the password fits; without a hash the same work is done for nothing, so time tells nothing."""
    usable = len(password) <= LONGEST
    try:
        fits = _hasher.verify(password_hash or _decoy(), _normal(password) if usable else "")
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False
    return fits and usable and password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with weaker parameters than today's: hash anew at the next sign-in."""
    return _hasher.check_needs_rehash(password_hash)
