"""One way in: dataclass defaults <- preset <- key=value. A typo is an error with a suggestion.

A preset is a YAML file that holds only differences, in sections by command (`pretrain:`, `evaluate:`); a run's own
`config.yaml` is one too. Values are converted by the declared type: PyYAML alone would read 1e-4 as a string.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml

C = TypeVar("C")
SECTIONS = (
    "demo",
    "embed",
    "evaluate",
    "ingest",
    "predict",
    "pretrain",
    "simulate",
)  # of a preset: the commands with settings


class ConfigError(ValueError):
    """A setting that does not exist or does not fit."""


def load(kind: type[C], *, preset: str | Path = "paper", section: str = "", settings: Sequence[str] = ()) -> C:
    """A `kind` (a dataclass) from its defaults, then the preset, then `key=value` settings.

    preset : a name in `selfpab/presets`, or the path of a YAML file; of it, only `section` counts.
    settings : e.g. ["steps=100", "masking.time_width=5"].
    """
    values = dataclasses.asdict(kind())  # type: ignore[call-overload]
    preset_sections = preset_values(preset)
    if preset_sections and section not in preset_sections:
        raise ConfigError(
            f"preset {preset} says nothing of {section!r}, only of {', '.join(preset_sections)}; leave it out, or take another"
        )
    _merge(kind, values, preset_sections.get(section, {}) or {}, f"preset {preset}: ")
    given: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"a setting is key=value, got {setting!r}")
        if _wants_text(kind, key, text):
            given[key] = text
            continue
        try:
            given[key] = yaml.safe_load(text) if text else ""
        except yaml.YAMLError as error:
            raise ConfigError(f"{setting} is no YAML value: {error}") from error
    return changed(build(kind, values), given)


def words(text: str) -> list[str]:
    """What stands between the commas of a setting.

    >>> words("S009, S006,"), words("")
    (['S009', 'S006'], [])
    """
    return [word.strip() for word in text.split(",") if word.strip()]


def _wants_text(kind: type, key: str, text: str) -> bool:
    """Where a text is wanted it is taken as typed: YAML would make 7 of a folder 007, and 630 of 10:30."""
    hint: Any = kind
    for part in key.split("."):
        hint = typing.get_type_hints(hint).get(part) if dataclasses.is_dataclass(hint) else None
    choices = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return text in choices  # YAML would make False of off
    return hint is str or (str in choices and text not in ("", "null", "none"))


def build(kind: type[C], values: Mapping[str, Any]) -> C:
    """A (nested) dataclass from plain values."""
    hints = typing.get_type_hints(kind)
    return kind(**{k: build(hints[k], v) if dataclasses.is_dataclass(hints[k]) else v for k, v in values.items()})


def changed(config: C, settings: Mapping[str, Any]) -> C:
    """The same with other values: {"finetune.steps": 400, ...}; ConfigError for a key that does not exist."""
    kind = type(config)
    values = dataclasses.asdict(config)  # type: ignore[call-overload]
    for key, value in settings.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        _merge(kind, values, value, "")
    return build(kind, values)


def preset_values(preset: str | Path) -> dict[str, Any]:
    """The content of a preset, by name or path."""
    values = _preset_file(preset)
    if strange := sorted(set(values) - set(SECTIONS)):
        raise ConfigError(f"preset {preset}: no section {strange[0]!r}{_suggest(strange[0], SECTIONS)}")
    return values


def _preset_file(preset: str | Path) -> dict[str, Any]:
    path = Path(preset)
    if path.suffix not in (".yaml", ".yml"):
        folder = resources.files("selfpab") / "presets"
        found = folder / f"{preset}.yaml"
        if not found.is_file():
            names = preset_names()
            raise ConfigError(f"no preset {str(preset)!r}{_suggest(str(preset), names)}; there are {', '.join(names)}")
        return yaml.safe_load(found.read_text()) or {}
    if not path.is_file():
        raise ConfigError(f"no preset file {path}")
    try:
        return yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {error}") from error


def preset_names() -> list[str]:
    return sorted(p.name.removesuffix(".yaml") for p in (resources.files("selfpab") / "presets").iterdir())


def dump(section: str, config: Any) -> str:
    """YAML of the complete configuration; `preset=<that file>` repeats the run."""
    return yaml.safe_dump({section: dataclasses.asdict(config)}, sort_keys=False)


def describe(kind: type, prefix: str = "") -> list[tuple[str, str, str]]:
    """(key, default, type) of every setting, for `--help`."""
    rows: list[tuple[str, str, str]] = []
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hint := hints[field.name]):
            rows += describe(typing.cast(type, hint), f"{prefix}{field.name}.")
        else:
            choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
            name = " or ".join(map(str, choices)) or getattr(hint, "__name__", str(hint))
            rows.append((prefix + field.name, str(field.default), name))
    return rows


def _merge(kind: type, values: dict[str, Any], changes: Any, where: str, prefix: str = "") -> None:
    if not isinstance(changes, Mapping):
        raise ConfigError(f"{where}{prefix.rstrip('.')} needs settings below it, got {changes!r}")
    hints = typing.get_type_hints(kind)
    for key, value in changes.items():
        if key not in values:
            known = [row[0] for row in describe(kind, prefix)]
            raise ConfigError(f"{where}no setting {prefix + key!r}{_suggest(prefix + key, known)}")
        if dataclasses.is_dataclass(hints[key]):
            _merge(typing.cast(type, hints[key]), values[key], value, where, f"{prefix}{key}.")
        else:
            values[key] = _convert(value, hints[key], where + prefix + key)


def _convert(value: Any, hint: Any, key: str) -> Any:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        for option in (o for o in options if o is not type(None)):
            try:
                return _convert(value, option, key)
            except ConfigError:
                continue
    elif typing.get_origin(hint) is typing.Literal:
        if value is False and "off" in typing.get_args(hint):
            return "off"  # as YAML reads it in a preset
        if value in typing.get_args(hint):
            return value
        hint = " | ".join(map(str, typing.get_args(hint)))
    elif hint is bool and isinstance(value, bool):
        return value
    elif hint is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        number = _number(value) if isinstance(value, str | float) else None
        if number is not None and number.is_integer():
            return int(number)
    elif hint is float:
        if not isinstance(value, bool) and _number(value) is not None:
            return float(value)
    elif hint is str and isinstance(value, str | int | float):
        return str(value)
    raise ConfigError(f"{key} must be {getattr(hint, '__name__', hint)}, got {value!r}")


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _suggest(name: str, known: Sequence[str]) -> str:
    plain = {each.lower(): each for each in known}  # a capital too many is no other word
    close = difflib.get_close_matches(name.lower(), plain, n=1, cutoff=0.5)
    return f"; did you mean {plain[close[0]]!r}?" if close else f"; there are {', '.join(known)}"
