"""The way through the console: groups by the work that is done there, and only what the role may read."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from admin_app.context import Staff
from admin_app.policies.permissions import Permission, allows
from models.staff import Role
from views.console.framework.current_staff import Viewer

GROUPS = ("", "Purchases", "Customers", "Calendar", "Money", "Traffic", "Oversight")


@dataclass(frozen=True)
class Menu:
    """What a page says of its place in the menu: the group, the label, the icon; `place` orders the whole menu."""

    group: str
    label: str
    icon: str
    place: int


@dataclass(frozen=True)
class Item:
    """One page in the menu, with the permission that reading it takes."""

    label: str
    href: str
    icon: str
    permission: Permission

    def holds(self, path: str) -> bool:
        return path == self.href or (self.href != "/admin/" and path.startswith(self.href))


@dataclass(frozen=True)
class Group:
    """The pages under one heading of the menu, in their order."""

    label: str
    items: tuple[Item, ...]


def menu_of(pages: Iterable[tuple[Menu, str, Permission]]) -> tuple[Group, ...]:
    """The whole menu, from what each page says of its place, its address and the permission to read it."""
    in_order = sorted(pages, key=lambda page: page[0].place)
    return tuple(
        Group(name, tuple(Item(menu.label, href, menu.icon, may) for menu, href, may in in_order if menu.group == name))
        for name in GROUPS
    )


@dataclass(frozen=True)
class Navigation:
    """The groups a person sees, and the item they are in."""

    groups: tuple[Group, ...]
    current: Item | None


@cache
def for_role(menu: tuple[Group, ...], role: Role) -> tuple[Group, ...]:
    """The groups with only the items that the role may read."""
    someone = Staff(0, "", role)
    kept = ((group, tuple(item for item in group.items if allows(someone, item.permission))) for group in menu)
    return tuple(Group(group.label, items) for group, items in kept if items)


def of(menu: tuple[Group, ...], viewer: Viewer | None, path: str) -> Navigation:
    """What the person sees beside the page under this path."""
    if viewer is None:
        return Navigation((), None)
    groups = for_role(menu, viewer.staff.role)
    return Navigation(groups, next((item for group in groups for item in group.items if item.holds(path)), None))
