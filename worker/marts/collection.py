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
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from worker.config import Marts
from worker.config.settings import did_you_mean
from worker.errors import ConfigError
from worker.marts.definition import PURPOSE, SECTIONS, Circle, Mart, built_in, fault, front_fault, inputs, line_of, load_file, ordered

_LIKE = re.compile(r"^like\s*=", re.MULTILINE)


class _Like(BaseModel):
    """The front matter of a mart that is like another."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    like: str
    parameters: dict[str, Any]
    schedule: str | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """The marts that are right, by name, and what is wrong in the user's files of the others. Of a built-in mart whose place such a file
    takes there is neither.
    """

    marts: Mapping[str, Mart]
    faults: Mapping[str, ConfigError]


def collected(settings: Marts) -> Collection:
    """All that there are. Raises ConfigError where the user's directory is not there."""
    marts, faults = dict(built_in()), dict[str, ConfigError]()

    def add(path: Path, made: Callable[[], Mapping[str, Mart]]) -> None:
        marts.pop(path.stem, None)
        try:
            marts.update(made())
        except ConfigError as error:
            faults[path.stem] = error
        except (OSError, UnicodeDecodeError) as error:
            faults[path.stem] = fault(path.stem, f"it can't be read: {error}")

    files = _files(settings.directory)
    likes = [path for path in files if _is_like(path)]
    for path in files:
        if path not in likes:
            add(path, partial(_of_file, path))
    for path in likes:
        add(path, partial(_instances, path, marts, settings))
    faults |= _circle(marts, {path.stem for path in files})
    return Collection({name: mart for name, mart in marts.items() if name not in faults}, faults)


def all_marts(settings: Marts) -> Mapping[str, Mart]:
    """By name. Raises ConfigError where one of them is not right: the first."""
    found = collected(settings)
    check(sorted(found.faults), found.faults)
    return found.marts


def check(names: Iterable[str], faults: Mapping[str, ConfigError]) -> None:
    """Raises the fault of the first of these marts that has one."""
    for name in names:
        if name in faults:
            raise faults[name]


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


def _of_file(path: Path) -> dict[str, Mart]:
    return {path.stem: load_file(path)}


def _is_like(path: Path) -> bool:
    """Whether it is like another; of one that can't be read, who reads it will say so."""
    with suppress(OSError, UnicodeDecodeError):
        return _LIKE.search(_front(path.read_text(encoding="utf-8"))) is not None
    return False


def _front(text: str) -> str:
    parts = SECTIONS.fullmatch(text)
    return parts["front"] if parts else ""


def _circle(marts: Mapping[str, Mart], own: AbstractSet[str]) -> dict[str, ConfigError]:
    """The user's marts that depend on each other in a circle, or on such."""
    try:
        ordered(marts.values())
    except Circle as error:
        return {name: error for name in error.marts if name in own}
    return {}


def _instances(path: Path, marts: Mapping[str, Mart], settings: Marts) -> dict[str, Mart]:
    """The mart of the file, and those that it reads which its settings change."""
    name, text = path.stem, path.read_text(encoding="utf-8")
    purpose = PURPOSE.match(text)
    if purpose is None or purpose["name"] != name:
        raise fault(name, f"it does not begin with `-- {name}: what for`")
    try:
        like = _Like.model_validate(tomllib.loads(_front(text)))
        given = settings.checked(like.parameters)
    except ValueError as error:
        raise front_fault(name, text, error) from None
    if like.like not in marts:
        raise fault(name, f"there is no mart {like.like}{did_you_mean(like.like, marts)}", line_of(text, "like"))
    original = marts[like.like]
    changed = _changed_by(original, given.keys(), marts)
    names = {each: name if each == original.name else f"{name}__{each}" for each in changed | {original.name}}
    made = {names[each]: _instance(marts[each], names, given) for each in names}
    if unused := given.keys() - {parameter for mart in made.values() for parameter in mart.parameters}:
        raise fault(name, f"neither {original.name} nor what it reads takes {', '.join(sorted(unused))}", line_of(text, min(unused)))
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
        front=mart.front.model_copy(
            update={"internal": True, "audits": audits, "follows": tuple(names.get(other, other) for other in mart.front.follows)}
        ),
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
