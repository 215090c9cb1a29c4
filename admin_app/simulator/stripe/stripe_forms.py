"""Stripe's form bodies and queries: `line_items[0][price_data][currency]=eur` is a path of names and positions."""

import re
from collections.abc import Iterable
from typing import Any

_PART = re.compile(r"\[([^\[\]]*)\]")


def decode(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The values as the nested objects and lists that they stand for; every leaf is text."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        head, _, rest = name.partition("[")
        _put(tree, [head, *_PART.findall(f"[{rest}" if rest else "")], value)
    lists: dict[str, Any] = _with_lists(tree)
    return lists


def _put(tree: dict[str, Any], path: list[str], value: str) -> None:
    for part in path[:-1]:
        inner = tree.setdefault(part or str(len(tree)), {})
        tree = inner if isinstance(inner, dict) else {}
    tree[path[-1] or str(len(tree))] = value


def _with_lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(name.isdecimal() for name in node):
        return [_with_lists(node[name]) for name in sorted(node, key=int)]
    return {name: _with_lists(value) for name, value in node.items()}
