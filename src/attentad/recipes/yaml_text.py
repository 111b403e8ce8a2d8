"""YAML of recipes: plain values, without the parts of the language that surprise or harm."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import yaml

from attentad.core import AttentadError
from attentad.core.wording import reason_of, shortened

# Far beyond any recipe: of a text, and of what stands in it once its aliases are written out.
MOST_CHARACTERS: Final = 1 << 16
MOST_VALUES: Final = 20_000
MOST_LEVELS: Final = 50


class _Loader(yaml.SafeLoader):
    """Values as YAML has them, but what looks like a date is text: it names a session."""

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        # The scanner looks ahead at a time that grows with the square of the depth.
        if self.flow_level > MOST_LEVELS:
            raise RecursionError
        super().fetch_flow_collection_start(TokenClass)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in pairs if not tag.endswith(":timestamp")]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_yaml(text: str, where: str) -> Any:
    """The values that a YAML text says; `where`, the file or setting, begins the error.

    Raises:
        AttentadError: it is no YAML, has a key twice, or is larger or deeper than a recipe can be,
            also by aliases that multiply what they stand for.
    """
    if len(text) > MOST_CHARACTERS:
        raise AttentadError(f"{where} has {len(text)} characters, too many for a recipe.")
    try:
        return _construct(text, where)
    except yaml.MarkedYAMLError as error:
        reason = " ".join(str(error).split())
        raise AttentadError(f"{where} is not valid YAML ({shortened(reason, 200)}).") from error
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, OverflowError) as error:
        # A value that is not what its tag says brings the constructor to any of these.
        raise AttentadError(f"{where} is not valid YAML ({reason_of(error)}).") from error
    except RecursionError:
        raise AttentadError(f"{where} is nested too deeply for a recipe.") from None


def _construct(text: str, where: str) -> Any:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _count(root, where, {}, MOST_LEVELS)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _count(node: yaml.Node, where: str, counts: dict[int, int], levels: int) -> int:
    """How many values a node is once its aliases are written out.

    Args:
        node: of the parsed text; an alias is the node that it stands for.
        where: begins errors.
        counts: of the nodes that are counted already; 0 of those that are being counted.
        levels: how deep it may still go.
    """
    if id(node) in counts:
        if counts[id(node)] == 0:
            raise AttentadError(f"{where} has an alias inside of what it stands for; remove it.")
        return counts[id(node)]
    if levels == 0:
        raise AttentadError(f"{where} is nested too deeply for a recipe.")
    counts[id(node)] = 0
    inside: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        inside = node.value
    elif isinstance(node, yaml.MappingNode):
        _check_keys_once(node, where)
        inside = [part for pair in node.value for part in pair]
    total = 1 + sum(_count(part, where, counts, levels - 1) for part in inside)
    if total > MOST_VALUES:
        raise AttentadError(
            f"{where} has more than {MOST_VALUES} values, most of them by aliases; write it out."
        )
    counts[id(node)] = total
    return total


def _check_keys_once(node: yaml.MappingNode, where: str) -> None:
    """Of two equal keys, the parser would drop the first without a word."""
    keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
    if twice := [key for key, count in keys.items() if count > 1]:
        raise AttentadError(f"{where} has the key {twice[0]!r} twice in one place; remove one.")
