"""What is accepted as a password, and how it is compared."""

import unicodedata
from collections.abc import Iterator
from contextlib import suppress

import pytest
from argon2 import PasswordHasher, Type, extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from admin_app.errors import InvalidInput
from admin_app.services.staff import passwords

EMAIL = "mara.lind@example.com"
# The product's own, read before the run puts a cheap one in its place.
HASHER = passwords._hasher


@pytest.fixture(autouse=True, scope="module")
def _in_earnest() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", HASHER)
        yield


@pytest.mark.parametrize(
    "password",
    [
        "glass-kettle-orbit-29",
        "twelve chars",
        "Übermäßig-lange-Wörter",
        "корова-летит-над-морем",
        "x7$Kp!2mQz9w",
        "w" * 3 + "erty-uiop-asdf",
        "a" * 3 + "bcde" * 60,
    ],
)
def test_a_good_password_is_accepted(password: str) -> None:
    passwords.check_strength(password, email=EMAIL)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "elevenchars",
        "mara.lind@example.com",
        "MARA.LIND@example.com",
        "mara.lind@example.com2026!",
        "mara.lind12345",
        "password1234",
        "Password123!",
        "P@ssw0rd2026!!",
        "qwertyuiop123",
        "1234567890123",
        "aaaaaaaaaaaaaaa",
        "abababababababab",
        "correct horse battery staple",
        "letmein-letmein"[:7] + "12345678",
        "line\nbreak-in-the-middle",
        "x" * 100 + "yzabc" * 60,
    ],
)
def test_a_poor_password_is_refused(password: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        passwords.check_strength(password, email=EMAIL, field="new_password")
    assert list(refused.value.fields) == ["new_password"]
    assert not password or password not in refused.value.sentence


def test_generated_passwords_differ_and_pass_the_rules() -> None:
    made = {passwords.generate() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        passwords.check_strength(password, email=EMAIL)


def test_a_password_fits_only_its_own_hash() -> None:
    kept = passwords.hash_password("glass-kettle-orbit-29")
    assert passwords.matches(kept, "glass-kettle-orbit-29")
    assert not passwords.matches(kept, "glass-kettle-orbit-28")
    assert not passwords.matches(None, "glass-kettle-orbit-29")
    assert not passwords.matches("no hash at all", "glass-kettle-orbit-29")


def test_the_same_letters_fit_however_the_keyboard_composed_them() -> None:
    word = "Übermäßig-lange-Wörter"
    kept = passwords.hash_password(unicodedata.normalize("NFD", word))
    assert passwords.matches(kept, unicodedata.normalize("NFC", word))


@pytest.mark.parametrize("password", ["\ud800" * 12, "x" * 1_000_000, "\0", ""])
def test_odd_input_is_just_wrong(password: str) -> None:
    kept = passwords.hash_password("glass-kettle-orbit-29")
    assert not passwords.matches(kept, password)
    assert not passwords.matches(None, password)


def test_a_password_takes_long_to_guess() -> None:
    kept = extract_parameters(passwords.hash_password("glass-kettle-orbit-29"))
    assert kept.type is Type.ID
    assert (kept.time_cost, kept.memory_cost, kept.parallelism) == (3, 32 * 1024, 1)


def test_a_hash_with_weaker_parameters_is_due_for_renewal() -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("glass-kettle-orbit-29")
    assert passwords.matches(weak, "glass-kettle-orbit-29")
    assert passwords.needs_rehash(weak)
    assert not passwords.needs_rehash(passwords.hash_password("glass-kettle-orbit-29"))


@given(st.text(max_size=80))
def test_any_text_is_either_accepted_or_refused_with_a_sentence(password: str) -> None:
    with suppress(InvalidInput):
        passwords.check_strength(password, email=EMAIL)
