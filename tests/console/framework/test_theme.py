"""The theme: contrast in both colours, every icon there, nothing from elsewhere."""

import re
from pathlib import Path

import pytest

from views.console import pages
from views.console.core.home import HomeView

ROOT = Path(__file__).resolve().parents[3]
TOKENS = (ROOT / "static/console/tokens.css").read_text()
CSS = (ROOT / "static/console/console.css").read_text()
CALENDAR = (ROOT / "static/console/calendar.css").read_text()
TEMPLATES = sorted((ROOT / "views/templates").rglob("*.html"))
SPRITE = (ROOT / "static/vendor/tabler-icons/sprite.svg").read_text()
READABLE = 4.5
SEEN = 3.0
GROUNDS = ("page", "surface", "raised", "hover")


def colours(theme: str) -> dict[str, str]:
    block = TOKENS[TOKENS.index(f'[data-bs-theme="{theme}"]') :]
    return dict(re.findall(r"--bd-([a-z-]+): (#[0-9a-f]{6});", block[: block.index("}")]))


def luminance(colour: str) -> float:
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read_on_its_ground(theme: str) -> None:
    named = colours(theme)
    pairs = [(text, ground) for text in ("text", "muted", "link", "bad") for ground in GROUNDS]
    pairs += [(tone, f"{tone}-soft") for tone in ("good", "warn", "bad", "info", "plain")]
    pairs += [("text", f"{tone}-soft") for tone in ("good", "warn", "bad", "info", "accent")]
    pairs += [("accent-text", "accent"), ("link", "accent-soft")]
    poor = {pair: round(contrast(named[pair[0]], named[pair[1]]), 2) for pair in pairs}
    assert not {pair: ratio for pair, ratio in poor.items() if ratio < READABLE}
    frames = [(frame, ground) for frame in ("line-strong", "focus", "bar") for ground in ("page", "surface")]
    assert not [pair for pair in frames if contrast(named[pair[0]], named[pair[1]]) < SEEN]


def test_both_themes_decide_the_same_things() -> None:
    assert colours("light").keys() == colours("dark").keys()


def test_components_name_no_colour_of_their_own() -> None:
    without_white_paper = (CSS + CALENDAR).replace("background: #ffffff", "")
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b", without_white_paper)


def test_every_icon_that_a_page_shows_is_in_the_sprite() -> None:
    shown = {name for page in TEMPLATES for name in re.findall(r'icon\("([^"]+)"\)', page.read_text())}
    shown |= {page.in_menu.icon for page in (HomeView, *pages.SECTIONS, *pages.PAGES) if page.in_menu}
    assert len(shown) > 20
    assert shown <= set(re.findall(r'<symbol id="([^"]+)"', SPRITE))


def test_nothing_is_loaded_from_another_host() -> None:
    for page in TEMPLATES:
        text = page.read_text()
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', text), page
        assert not re.findall(r"\sstyle=|\son[a-z]+=|\|\s*safe\b", text), page
        # A mail brings its styles along; where the console shows it, a policy of its own lets them.
        assert page.parent.name == "email" or "<style" not in text, page
    for sheet in (CSS, CALENDAR, TOKENS, (ROOT / "static/console/console.js").read_text()):
        assert "//cdn" not in sheet
        assert "@import" not in sheet
    assert not re.findall(r"url\((?!\"?data:)", (ROOT / "static/vendor/tabler/tabler.min.css").read_text())


def test_the_script_needs_nothing_that_the_policy_stops() -> None:
    script = (ROOT / "static/console/console.js").read_text()
    assert not re.findall(r"\beval\(|new Function|innerHTML|\.style\b|document\.write", script)


@pytest.mark.parametrize("package", ["tabler", "tabler-icons"])
def test_each_vendored_package_brings_its_licence(package: str) -> None:
    assert (ROOT / "static/vendor" / package / "LICENSE").stat().st_size > 200
    assert f"`{package}/`" in (ROOT / "static/vendor/README.md").read_text()
