"""File, environment and flags become one `Settings`, or one ConfigError that lists every fault with its place."""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from worker.config.section import Fault, Inconsistent, Section
from worker.config.settings import Settings, did_you_mean
from worker.errors import ConfigError

_REMEDY = "Every setting is listed in docs/configuration.md; `tidemark config show` prints what is in effect and where it comes from."
_DEFAULT_FILE = Path("tidemark.toml")
_PREFIX = "TIDEMARK_"
_CONFIG_VARIABLE = "TIDEMARK_CONFIG"

# Not settings: the test suite's own, and what Kubernetes sets in every pod beside a service named tidemark.
_FOREIGN = re.compile(r"TIDEMARK_(TEST_\w+|(\w+_)?SERVICE_(HOST|PORT)(_\w+)?|(\w+_)?PORT_\d+_(TCP|UDP)(_(ADDR|PORT|PROTO))?)")
_SERVICE_URL = re.compile(r"(tcp|udp)://")

# librdkafka's names have dots, a variable's name can't: TIDEMARK_KAFKA__SECRETS__SASL_PASSWORD is sasl.password.
_DOTTED = {"kafka.options", "kafka.secrets", "kafka.secret_files"}


class SettingOrigin(StrEnum):
    """Where a setting's value comes from; a later one wins."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Row:
    """One effective setting, fit to be shown: a secret's value is asterisks. `place`: the file or variable; empty for a default."""

    key: str
    value: Any
    origin: SettingOrigin
    place: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """One value that somebody wrote down; it may be a secret."""

    key: str
    value: Any = field(repr=False)
    origin: SettingOrigin
    place: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and for each that is not a default where it was set and in which file or variable."""

    settings: Settings
    origins: Mapping[str, tuple[SettingOrigin, str]]

    def rows(self) -> list[Row]:
        """All effective settings in the order of their declaration."""
        values = self.settings.model_dump(mode="json")
        return [row for key in FIELDS for row in self._rows_of(key, value_at(values, key))]

    def _rows_of(self, key: str, value: Any) -> Iterator[Row]:
        if isinstance(value, dict) and value:
            for name, item in value.items():
                yield from self._rows_of(f"{key}.{name}", item)
        else:
            yield Row(key, value, *self.origins.get(key, (SettingOrigin.DEFAULT, "")))


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings of this process; see `read`."""
    return read(path, overrides).settings


def read(
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    check_files: bool = False,
) -> Loaded:
    """The settings of the file at `path` (else TIDEMARK_CONFIG's, else ./tidemark.toml if there), the environment and `overrides`.

    overrides: dotted key -> value, from flags. environment: os.environ unless given. check_files: files named in it must be readable.
    Raises ConfigError with all faults at once.
    """
    environment = os.environ if environment is None else environment
    written = [*_from_file(path, environment), *_from_environment(environment), *_from_flags(overrides or {})]
    entries = [item for item in written if isinstance(item, _Entry)]
    faults = [item for item in written if isinstance(item, str)]
    settings, found = _settle(entries)
    if check_files and settings is not None:
        found += settings.file_faults()
    faults += [_with_place(fault, entries) for fault in found]
    if faults or settings is None:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise ConfigError(f"{count} in the configuration:\n" + "\n".join(f"  {fault}" for fault in faults), _REMEDY)
    return Loaded(settings, {entry.key: (entry.origin, entry.place) for entry in entries})


def _settle(entries: Iterable[_Entry]) -> tuple[Settings | None, list[Fault]]:
    """Validate again without what was faulty, until nothing new is found: one fault must not hide another."""
    faults: list[Fault] = []
    suspect: set[str] = set()
    while True:
        settings, found = _validate(entry for entry in entries if not any(_is_within(entry.key, key) for key in suspect))
        found = [fault for fault in found if suspect.isdisjoint(fault.keys)]
        if not found:
            return settings, faults
        faults += found
        suspect |= {key for fault in found for key in fault.keys}


def _validate(entries: Iterable[_Entry]) -> tuple[Settings | None, list[Fault]]:
    try:
        return Settings.model_validate(_tree(entries)), []
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        return None, [fault for detail in details for fault in _faults_of(detail)]


def _faults_of(detail: ErrorDetails) -> Iterable[Fault]:
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, Inconsistent):
        return cause.faults
    key = ".".join(str(part) for part in detail["loc"] if part != "[key]")
    return [Fault((key,), str(cause) if cause else detail["msg"][:1].lower() + detail["msg"][1:])]


def _tree(entries: Iterable[_Entry]) -> dict[str, Any]:
    """Nested as `Settings` is. A mapping that the file gives replaces the default; variables and flags change it key by key."""
    tree: dict[str, Any] = {}
    for entry in entries:
        setting = _field_of(entry.key)
        assert setting is not None
        *sections, name = setting.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        if setting == entry.key:
            place[name] = dict(entry.value) if isinstance(entry.value, Mapping) else entry.value
        else:
            place.setdefault(name, {} if entry.origin is SettingOrigin.FILE else dict(FIELDS[setting].get_default()))
            place[name][entry.key.removeprefix(setting + ".")] = entry.value
    return tree


def _from_file(path: Path | None, environment: Mapping[str, str]) -> Iterator[_Entry | str]:
    named = path or (Path(environment[_CONFIG_VARIABLE]) if environment.get(_CONFIG_VARIABLE) else None)
    file = named or _DEFAULT_FILE
    if named is None and not file.exists():
        return
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        yield f"{file}: can't be read: {error.strerror}"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        yield f"{file}: is not TOML: {error}"
    else:
        for key, value in _leaves(document):
            yield _entry(key, value, SettingOrigin.FILE, str(file))


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict) and (value or f"{prefix}{name}" not in FIELDS):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _from_environment(environment: Mapping[str, str]) -> Iterator[_Entry | str]:
    ignored = {_CONFIG_VARIABLE, *ignored_variables(environment)}
    for name, value in sorted(environment.items()):
        if name.startswith(_PREFIX) and name not in ignored:
            yield _entry(_key_of_variable(name), value, SettingOrigin.ENVIRONMENT, name)


def ignored_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables that look like settings and are taken for somebody else's, by their names or values."""
    return sorted(
        name for name, value in environment.items() if name.startswith(_PREFIX) and (_FOREIGN.fullmatch(name) or _SERVICE_URL.match(value))
    )


def setting_of_variable(name: str) -> str | None:
    """The declared setting that a variable's name says, if there is one."""
    return _field_of(_key_of_variable(name))


def _key_of_variable(name: str) -> str:
    key = name.removeprefix(_PREFIX).lower().replace("__", ".")
    field = _field_of(key)
    return f"{field}.{key.removeprefix(f'{field}.').replace('_', '.')}" if field in _DOTTED and key != field else key


def variable_of(key: str) -> str:
    """The environment variable of a setting."""
    return _PREFIX + key.upper().replace(".", "__")


def _from_flags(overrides: Mapping[str, Any]) -> Iterator[_Entry | str]:
    for key, value in overrides.items():
        yield _entry(key, value, SettingOrigin.FLAG, "flag")


def _entry(key: str, value: Any, origin: SettingOrigin, place: str) -> _Entry | str:
    """The entry, or the fault that there is no such setting. A fault never shows the value: it may be a secret."""
    field = _field_of(key)
    is_variable = origin is SettingOrigin.ENVIRONMENT
    if field is None:
        near = did_you_mean(place, map(variable_of, FIELDS)) if is_variable else did_you_mean(key, [*FIELDS, *SECTIONS])
        return f"{place}: there is no such setting{near}" if is_variable else f"{place}: {key}: there is no such setting{near}"
    if field == key and _is_mapping(FIELDS[field]) and not isinstance(value, Mapping):
        return f"{place}: {key}: is a table; set one entry of it: {variable_of(key) + '__NAME' if is_variable else key + '.NAME'}"
    return _Entry(key, value, origin, place)


def _with_place(fault: Fault, entries: Iterable[_Entry]) -> str:
    """The fault with the file or variable that caused it: the last to set the key, else the last to set one that it is about."""
    entries = list(entries)
    for key in fault.keys:
        places = [entry.place for entry in entries if _is_within(entry.key, key)]
        if places:
            return f"{places[-1]}: {fault.keys[0]}: {fault.text}"
    return f"{fault.keys[0]}: {fault.text}"


def _is_within(key: str, outer: str) -> bool:
    return key == outer or key.startswith(outer + ".")


def _field_of(key: str) -> str | None:
    """The declared setting that `key` is, or is an entry of."""
    return next((field for field, info in FIELDS.items() if key == field or (_is_mapping(info) and key.startswith(f"{field}."))), None)


def _is_mapping(info: FieldInfo) -> bool:
    return get_origin(info.annotation) is dict


def value_at(values: Any, key: str) -> Any:
    """What stands at a dotted key of nested mappings."""
    for part in key.split("."):
        values = values[part]
    return values


def _sections(of: type[Section], prefix: str = "") -> Iterator[tuple[str, type[Section]]]:
    for name, info in of.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield f"{prefix}{name}", kind
            yield from _sections(kind, f"{prefix}{name}.")


# Every section by its dotted name; those within a section come after it.
SECTIONS: Mapping[str, type[Section]] = dict(_sections(Settings))


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    sections: list[tuple[str, type[Section]]] = [*SECTIONS.items(), ("", Settings)]
    for section, kind in sections:
        for name, info in kind.model_fields.items():
            key = f"{section}.{name}" if section else name
            if key not in SECTIONS:
                yield key, info


# Every setting by its dotted key, in the order of declaration.
FIELDS: Mapping[str, FieldInfo] = dict(_fields())
