"""All marts that there are: those that come with tidemark, and the user's own.

A file in the user's directory is a mart as any other, one with the name of a built-in mart takes its place. Or it is a built-in mart under
another name, with settings of its own:

    -- attribution_week: attribution_channel within a week.
    /*
    like = "attribution_channel"
    [parameters]
    touch_window_hours = 168
    */

What that mart reads is then instantiated too, where one of those settings changes it: as <name>__<mart>, internal.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from worker.config import Marts
from worker.config.settings import did_you_mean
from worker.errors import ConfigError
from worker.marts.definition import PURPOSE, SECTIONS, Mart, built_in, fault, inputs, load_file

_LIKE = re.compile(r"^like\s*=", re.MULTILINE)


class _Like(BaseModel):
    """The front matter of a mart that is like another."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    like: str
    parameters: dict[str, Any]
    schedule: str | None = None
    priority: int | None = None


def all_marts(settings: Marts) -> Mapping[str, Mart]:
    """By name. Raises ConfigError where one of them is not right."""
    marts = dict(built_in())
    likes: list[Path] = []
    for path in _files(settings.directory):
        if _LIKE.search(_front(path)):
            likes.append(path)
        else:
            marts[path.stem] = load_file(path)
    for path in likes:
        marts |= _instances(path, marts, settings)
    return marts


def mart_named(name: str, marts: Mapping[str, Mart]) -> Mart:
    """Raises ConfigError where there is none."""
    if name not in marts:
        raise ConfigError(f"there is no mart {name}{did_you_mean(name, marts)}", "tidemark marts list prints their names.")
    return marts[name]


def _files(directory: Path | None) -> list[Path]:
    if directory is None:
        return []
    if not directory.is_dir():
        raise ConfigError(f"marts.directory: there is no directory {directory}", "Make it, or leave the setting out.")
    return sorted(directory.glob("*.sql"))


def _front(path: Path) -> str:
    parts = SECTIONS.fullmatch(path.read_text(encoding="utf-8"))
    return parts["front"] if parts else ""


def _instances(path: Path, marts: Mapping[str, Mart], settings: Marts) -> dict[str, Mart]:
    """The mart of the file, and those that it reads which its settings change."""
    name, text = path.stem, path.read_text(encoding="utf-8")
    purpose = PURPOSE.match(text)
    if purpose is None or purpose["name"] != name:
        raise fault(name, f"it does not begin with `-- {name}: what for`")
    try:
        like = _Like.model_validate(tomllib.loads(_front(path)))
        given = settings.checked(like.parameters)
    except (tomllib.TOMLDecodeError, ValidationError, ValueError) as error:
        raise fault(name, str(error)) from None
    original = mart_named(like.like, marts)
    changed = _changed_by(original, given.keys(), marts)
    names = {each: name if each == original.name else f"{name}__{each}" for each in changed | {original.name}}
    made = {names[each]: _instance(marts[each], names, given) for each in names}
    if unused := given.keys() - {parameter for mart in made.values() for parameter in mart.parameters}:
        raise fault(name, f"neither {original.name} nor what it reads takes {', '.join(sorted(unused))}")
    own: dict[str, Any] = {key: value for key, value in (("schedule", like.schedule), ("priority", like.priority)) if value is not None}
    own["internal"] = original.front.internal
    made[name] = replace(made[name], purpose=purpose["text"], front=made[name].front.model_copy(update=own))
    return made


def _instance(mart: Mart, names: Mapping[str, str], given: Mapping[str, Any]) -> Mart:
    tables = re.compile(rf"\b({'|'.join(names)})\b")
    audits = tuple(
        audit.model_copy(update={"query": tables.sub(lambda found: names[found[0]], audit.query)}) for audit in mart.front.audits
    )
    return replace(
        mart,
        name=names[mart.name],
        reads=tuple(names.get(read, read) for read in mart.reads),
        front=mart.front.model_copy(update={"internal": True, "audits": audits}),
        given={name: value for name, value in given.items() if name in mart.parameters},
        aliases={new: old for old, new in names.items() if old in mart.reads},
    )


def _changed_by(mart: Mart, parameters: Any, marts: Mapping[str, Mart]) -> set[str]:
    """The names of those of the mart and all that it reads whose rows depend on one of the parameters."""
    needs = inputs(mart, marts)
    found = set().union(*(_changed_by(need, parameters, marts) for need in needs))
    if found or not parameters.isdisjoint(mart.parameters):
        found.add(mart.name)
    return found
