"""How likely two different addresses are one person's, the one misspelt.

People mistype in few ways: a letter doubled, dropped, swapped with its neighbour or hit on the next key. What tells
two people apart looks as near by mere distance: another initial, another number, another given name, another of
the well-known providers. So the kind of difference decides, not its size alone.
"""

from dataclasses import dataclass
from itertools import pairwise

from rapidfuzz.distance import DamerauLevenshtein

# Both sides spelt right: one name at two of them is two mailboxes, mostly of two people.
_PROVIDERS = """
    aol.com bluewin.ch btinternet.com comcast.net fastmail.com free.fr freenet.de gmail.com gmx.at gmx.ch gmx.com
    gmx.de gmx.net googlemail.com hey.com hotmail.co.uk hotmail.com hotmail.de hotmail.fr hotmail.it icloud.com
    laposte.net libero.it live.co.uk live.com live.de live.nl mac.com mail.com mail.de me.com msn.com orange.fr
    outlook.com outlook.de outlook.fr pm.me posteo.de posteo.net proton.me protonmail.com qq.com rocketmail.com sfr.fr
    t-online.de tutanota.com verizon.net wanadoo.fr web.de yahoo.co.uk yahoo.com yahoo.de yahoo.fr yahoo.in yahoo.it
    yandex.com yandex.ru ymail.com zoho.com
"""
PROVIDERS = frozenset(_PROVIDERS.split())
ONE_MAILBOX = {"googlemail.com": "gmail.com"}
# Names that are one slip apart and belong to two people; each group holds names that are taken for each other.
GIVEN_NAMES = tuple(
    frozenset(group.split())
    for group in (
        "anna anne anni hanna hanne ana ann annie",
        "maria marie mario mary marla marta",
        "julia julie julian juliane juli",
        "christian christina kristian christine",
        "jon john joan juan jan jen jean",
        "marc mark marco marko marcus markus",
        "eric erik erika erica",
        "carl karl carla karla",
        "stefan stephan steffen stefano",
        "michael michaela michel michele",
        "daniel daniela danielle",
        "martin martina marta",
        "paul paula paulo",
        "sara sarah zara",
        "lena lina luna lea leah lara laura",
        "tim tom tam jim",
        "ben dan sam pam",
        "simon simone",
        "alex alexa alec",
        "kate katie kathy cathy",
        "mia lia pia tia",
        "emma emmi ema",
        "lisa elisa liza",
        "peter petra pete",
        "robert roberta roberto",
        "andrea andreas andres andre",
        "nina nino tina gina dina",
    )
)
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


@dataclass(frozen=True)
class Likeness:
    """One reason to take two addresses for one person's; the higher the weight, the likelier."""

    code: str
    sentence: str
    weight: int


def compare(bought: str, owned: str) -> Likeness | None:
    """What speaks for `owned` being the address that the buyer meant by `bought`; both in lower case."""
    if bought == owned:
        return Likeness("same_email", "Same e-mail address", 90)
    (local, _, domain), (own_local, _, own_domain) = bought.partition("@"), owned.partition("@")
    one, other = bare_local(local), bare_local(own_local)
    if one == other:
        return _by_domain(domain, own_domain, owned, long=len(one) >= 5)
    if not _may_be_one_domain(domain, own_domain):
        return None
    slip = _local_slip(local, own_local)
    if slip is None:
        return None
    spelt = f"Spelt almost the same: {bought} / {owned}"
    if _one_mailbox(domain) == _one_mailbox(own_domain):
        return Likeness("local_typo", spelt, slip)
    return Likeness("both_typo", spelt, slip - 15)


def bare_local(local: str) -> str:
    """The part before the @ without dots and plus-tag."""
    return local.partition("+")[0].replace(".", "")


def meant_provider(domain: str) -> str | None:
    """The well-known provider that this domain is a slip of, if any."""
    if domain in PROVIDERS:
        return None
    distance, nearest = min((DamerauLevenshtein.distance(domain, provider), provider) for provider in PROVIDERS)
    return nearest if distance <= 2 else None


def _by_domain(domain: str, own_domain: str, owned: str, *, long: bool) -> Likeness | None:
    if _one_mailbox(domain) == _one_mailbox(own_domain):
        return Likeness("same_mailbox", f"Same mailbox but for dots or a plus-tag: {owned}", 75)
    if _may_be_one_domain(domain, own_domain):
        return Likeness("domain_typo", f"Domain spelt almost the same: {domain} / {own_domain}", 65)
    return Likeness("same_local", f"Same name before the @, another domain: {own_domain}", 25) if long else None


def _one_mailbox(domain: str) -> str:
    return ONE_MAILBOX.get(domain, domain)


def _may_be_one_domain(domain: str, own_domain: str) -> bool:
    """The same, or a slip of the other; two that both exist are two."""
    if _one_mailbox(domain) == _one_mailbox(own_domain):
        return True
    if domain in PROVIDERS and own_domain in PROVIDERS:
        return False
    distance = DamerauLevenshtein.distance(domain, own_domain)
    # Names of businesses lie close to each other; only the well-known ones are surely what was meant.
    return distance <= (2 if domain in PROVIDERS or own_domain in PROVIDERS else 1)


def _local_slip(local: str, own_local: str) -> int | None:
    """The weight of the difference between two names before the @, None when it is too large to mean anything."""
    one, other = bare_local(local), bare_local(own_local)
    distance = DamerauLevenshtein.distance(one, other)
    if distance > 2 or min(len(one), len(other)) < 4:
        return None
    if _two_people(local, own_local):
        return 20
    if distance == 2:
        return 50 if len(one) >= 10 and one[:2] == other[:2] else 30
    return 60 if _is_slip(one, other) else 30


def _two_people(local: str, own_local: str) -> bool:
    """A number, an initial or a given name differs: what tells people apart rather than what fingers do."""
    one, other = _parts(local), _parts(own_local)
    if _digits(local) != _digits(own_local):
        return True
    if len(one) == len(other):
        differing = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
        return any(_are_two_names(a, b) for a, b in differing)
    return _are_two_names("".join(one), "".join(other))


def _are_two_names(one: str, other: str) -> bool:
    if min(len(one), len(other)) == 1:
        return True
    if any(one in group and other in group for group in GIVEN_NAMES):
        return True
    # jsmith and msmith: the same surname behind another initial
    return (one[0] != other[0] and one[1:] == other[1:]) or _given_names_differ(one, other)


def _given_names_differ(one: str, other: str) -> bool:
    """Names run together: annameier and annemeier."""
    return any(
        a != b and one.startswith(a) and other.startswith(b) and one[len(a) :] == other[len(b) :]
        for group in GIVEN_NAMES
        for a in group
        for b in group
    )


def _is_slip(one: str, other: str) -> bool:
    """One letter dropped, doubled, added or swapped inside, or a neighbouring key; not another ending."""
    if len(one) != len(other):
        short, long = sorted((one, other), key=len)
        at = next((i for i, letter in enumerate(short) if letter != long[i]), len(short))
        doubled = at > 0 and long[at] == long[at - 1]
        return doubled or at < len(short) or long[at] not in "aeiou"
    differing = [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    if len(differing) == 2:
        return True  # neighbours swapped: at distance one it can be nothing else
    at = differing[0]
    return one[at] in _neighbours(other[at])


def _neighbours(key: str) -> frozenset[str]:
    """The keys around one, on the three rows of letters."""
    near: set[str] = set()
    for row, letters in enumerate(KEYS):
        column = letters.find(key)
        if column < 0:
            continue
        near |= {a for pair in pairwise(letters) for a in pair if key in pair} - {key}
        for other_row in (row - 1, row + 1):
            if 0 <= other_row < len(KEYS):
                first = column if other_row < row else column - 1
                near |= set(KEYS[other_row][max(first, 0) : first + 2])
    return frozenset(near)


def _parts(local: str) -> list[str]:
    bare = local.partition("+")[0]
    return [part for part in bare.replace("_", ".").replace("-", ".").split(".") if part]


def _digits(local: str) -> str:
    return "".join(letter for letter in bare_local(local) if letter.isdigit())
