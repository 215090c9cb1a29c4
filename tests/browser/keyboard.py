"""Working a page by the keyboard alone, as someone without a mouse does."""

from playwright.sync_api import Page

MOST_TABS = 120
FOCUSED = """() => {
  const at = document.activeElement;
  if (at === document.body) return "";
  const label = at.labels && at.labels.length ? at.labels[0].innerText : "";
  return [at.innerText || "", at.getAttribute("aria-label") || "", label].join("|");
}"""
VISIBLE = """() => {
  const style = getComputedStyle(document.activeElement);
  return style.outlineStyle !== "none" || style.boxShadow !== "none";
}"""


def tab_to(page: Page, text: str, *, exactly: bool = False) -> None:
    """Press Tab until what has the focus is called `text`, or something with it; the focus must be visible there."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        called = page.evaluate(FOCUSED)
        if text in (called.split("|") if exactly else called):
            assert page.evaluate(VISIBLE), f"The focus on {text!r} cannot be seen."
            return
    raise AssertionError(f"{text!r} was not reached within {MOST_TABS} presses of Tab.")


def follow(page: Page, text: str, *, exactly: bool = False) -> None:
    """Tab to a link or button and press Enter; the next page is there afterwards."""
    tab_to(page, text, exactly=exactly)
    with page.expect_navigation():
        page.keyboard.press("Enter")
