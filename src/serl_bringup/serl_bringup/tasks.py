# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Tasks: folders of ROS parameter files, completed by defaults and checked before anything starts.

A task is a folder with `env.yaml` and, where a node's defaults do not do, `<node>.yaml`, each of the form
`<node>: {ros__parameters: {...}}`. What a node may be told is the union of its config classes' settings.
`observations/<obs>.yaml` says of any of the nodes what is other where `env.obs` is that: this package's for all
tasks that have `policy_keys_<obs>`, and on top the task's own; `robots/<robot>.yaml` says what is other on that
robot. `controllers.yaml` and `robots/<robot>_controllers.yaml` are the controller manager's, which reads them itself.
Parameters may name Python modules of the folder, such as the task's scene: every process of a run finds them.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from serl_core.errors import ConfigError, suggest
from serl_core.parameters import descriptors, from_mapping

T = TypeVar("T")

TASK_PATH = "SERL_TASK_PATH"
"""Environment variable: folders of tasks beside ./tasks, separated by colons."""

CONTROLLERS = "controllers"
"""Files of this name, or ending so, are the controller manager's."""

Schema = Sequence[type] | Callable[[Mapping[str, Any]], Sequence[type]]
"""A node's config classes, or a function from the node's values to them (a reward has its own settings)."""


@dataclass(frozen=True)
class Task:
    """A task with every parameter of every node filled in and checked.

    Attributes:
        name: Name of the task's folder.
        parameters: Values by parameter, by node; lists are tuples.
        schemas: Config classes by node.
    """

    name: str
    parameters: dict[str, dict[str, Any]]
    schemas: dict[str, tuple[type, ...]]

    def config(self, node: str, cls: type[T]) -> T:
        """Return the settings of one config class of a node."""
        names = {setting.name for setting in descriptors(cls)}
        values = {name: value for name, value in self._of(node).items() if name in names}
        return from_mapping(cls, values, f"task {self.name}: {node}")

    def with_values(self, node: str, **values: Any) -> Task:
        """Return a copy in which some parameters of a node have other values; ConfigError where wrong."""
        present, where = self._of(node), f"task {self.name}: {node}"
        checked = {name: _check(self.schemas[node], name, value, where) for name, value in values.items()}
        return dataclasses.replace(self, parameters={**self.parameters, node: {**present, **checked}})

    def write(self, path: Path, robots: Mapping[str, Task] | None = None) -> None:
        """Write one file for `--ros-args --params-file`, good for the nodes under any namespace.

        Empty lists are left out, since rcl cannot read them; the nodes' defaults stand for them.

        Args:
            path: Where.
            robots: By namespace, the task as it is for the nodes there; written is what differs.
        """
        lines = [f"# Parameters of task {self.name}, complete."]
        for node, values in self.parameters.items():
            lines += _section(f"/**/{node}", values)
            for robot, task in (robots or {}).items():
                own = task.parameters[node]
                differing = {name: value for name, value in own.items() if value != values[name]}
                lines += _section(f"/{robot}/{node}", differing)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _of(self, node: str) -> dict[str, Any]:
        if node not in self.parameters:
            raise ConfigError(f"task {self.name}: no node {node!r}{suggest(node, self.parameters)}")
        return self.parameters[node]


def _section(node: str, values: Mapping[str, Any]) -> list[str]:
    written = {name: value for name, value in values.items() if value != ()}
    head = [f"{node}:", "  ros__parameters:"] if written else []
    return [*head, *(f"    {name}: {_yaml_text(value)}" for name, value in written.items())]


def task_folders() -> list[Path]:
    """Return the folders searched: the user's (./tasks, SERL_TASK_PATH), the ROS prefixes, this package's own."""
    return [*_user_folders(), *_shipped_folders()]


def task_places(name: str) -> list[Path]:
    """Return the folders that a task of this name is in; none, or one unless the name is ambiguous.

    Among the shipped ones the nearest stands for all: a workspace overlays what is installed below it.
    """
    # Compared with the listing, so that "..", "" or a path never leaves the folder of tasks.
    users, shipped = (
        [folder / name for folder in folders if name in (e.name for e in folder.iterdir() if e.is_dir())]
        for folders in (_user_folders(), _shipped_folders())
    )
    return users + shipped[:1]


def list_tasks() -> list[str]:
    """Return the names of all tasks, sorted."""
    return sorted(
        {
            entry.name
            for folder in task_folders()
            for entry in folder.iterdir()
            if (entry / "env.yaml").is_file()
        }
    )


def describe_task(name: str) -> str:
    """Return a task's description: the first comment of its env.yaml after the licence; "" without one."""
    lines = (_find(name) / "env.yaml").read_text(encoding="utf-8").splitlines()
    comments = [line.lstrip("# ") for line in lines if line.startswith("#") and "SPDX" not in line]
    return comments[0] if comments else ""


def list_robots(name: str) -> list[str]:
    """Return the robots that a task has a file for, sorted; ConfigError if there is no such task."""
    return sorted(p.stem for p in (_find(name) / "robots").glob("*.yaml") if not p.stem.endswith(CONTROLLERS))


def controller_files(name: str, robot: str) -> list[Path]:
    """Return the controller manager's parameter files of a task, the later ones overriding the earlier."""
    folder = _find(name)
    files = [folder / f"{CONTROLLERS}.yaml", folder / "robots" / f"{robot}_{CONTROLLERS}.yaml"]
    found = [path.absolute() for path in files if path.is_file()]
    if not found:
        raise ConfigError(f"task {name!r} has no {CONTROLLERS}.yaml, which a controller manager needs")
    return found


def load_task(
    name: str, overrides: Sequence[str] = (), schemas: Mapping[str, Schema] = {}, robot: str = ""
) -> Task:
    """Read a task, apply overrides, fill in defaults and check everything.

    From the weakest: defaults, the task's own files, those of its observations (all tasks', then its own), that of the
    robot, overrides. Modules in the task's folder can be imported from here on, by this process and by those that it
    starts.

    Args:
        name: Name of a task folder.
        overrides: "node.parameter=value" or "parameter=value"; the later wins.
        schemas: Config classes by node, or a function that picks them from the node's values.
        robot: Robot whose file comes on top of the task's own; "": none.

    Raises:
        ConfigError: one line naming the file or override at fault.
    """
    folder = _find(name)
    if any(folder.glob("*.py")):
        _let_import_from(folder)
    paths = [path for path in sorted(folder.glob("*.yaml")) if path.stem != CONTROLLERS]
    layers = [(path, _read(path, path.stem)) for path in paths]
    if robot:
        path = folder / "robots" / f"{robot}.yaml"
        if robot not in list_robots(name):
            robots = ", ".join(list_robots(name)) or "none"
            raise ConfigError(f"task {name!r}: {_shown(path)} is missing; robots of this task: {robots}")
        layers.append((path, _read(path)))
    settings = [_Override.parse(text) for text in overrides]
    said = [values["env"] for _, values in layers if "env" in values]
    said += [{s.name: s.value} for s in settings if s.node in ("", "env")]
    obs = next((e["obs"] for e in reversed(said) if "obs" in e), "")
    places = [folder]
    if any(values.get(f"policy_keys_{obs}") for values in said):
        # Which arms with cameras have; a Gymnasium environment may be an image, and have none of what is said here.
        places.insert(0, _shipped_folders()[0].parent)
    above = [path for place in places if (path := place / "observations" / f"{obs}.yaml").is_file()]
    layers[len(paths) : len(paths)] = [(path, _read(path)) for path in above]
    given: dict[str, dict[str, Any]] = {}
    origin: dict[tuple[str, str], Path] = {}
    for path, nodes in layers:
        for node, values in nodes.items():
            if node not in schemas and values:
                raise ConfigError(f"{_shown(path)}: no node {node!r}{suggest(node, schemas)}")
            given.setdefault(node, {}).update(values)
            origin.update({(node, parameter): path for parameter in values})
    classes = {}
    for node, schema in schemas.items():
        asked = {s.name: s.value for s in settings if s.node in ("", node)}
        classes[node] = tuple(schema({**given.get(node, {}), **asked}) if callable(schema) else schema)

    parameters = {}
    for node, of_node in classes.items():
        values: dict[str, Any] = {}
        for cls in of_node:
            for setting in descriptors(cls):
                values.setdefault(
                    setting.name, setting.default
                )  # as the node shell: the first class declares it
        for parameter, value in given.get(node, {}).items():
            values[parameter] = _check(of_node, parameter, value, _shown(origin[node, parameter]))
        parameters[node] = values
    for override in settings:
        node = override.node_among(parameters)
        value = override.text if _hint(classes[node], override.name) is str else override.value
        parameters[node][override.name] = _check(classes[node], override.name, value, f"--set {override.key}")
    return Task(name, parameters, classes)


def parse_settings(arguments: Sequence[str]) -> dict[str, Any]:
    """Return the values by name of "name=value" settings of something that is no node; the value is YAML."""
    return {override.key: override.value for override in map(_Override.parse, arguments)}


@dataclass(frozen=True)
class _Override:
    """One "key=value" of `--set`; `node` is "" where the key names none."""

    key: str
    node: str
    name: str
    text: str
    value: Any

    @classmethod
    def parse(cls, argument: str) -> _Override:
        key, equals, text = argument.partition("=")
        node, _, name = key.strip().rpartition(".")
        if not equals or not name:
            raise ConfigError(f"--set {argument}: expected parameter=value or node.parameter=value")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {argument}: {text!r} is not YAML ({_one_line(error)})") from error
        return cls(key.strip(), node, name, text.strip(), value)

    def node_among(self, parameters: Mapping[str, Mapping[str, Any]]) -> str:
        if self.node:
            if self.node not in parameters:
                raise ConfigError(f"--set {self.key}: no node {self.node!r}{suggest(self.node, parameters)}")
            return self.node
        nodes = [node for node, values in parameters.items() if self.name in values]
        if len(nodes) > 1:
            choices = ", ".join(f"{node}.{self.name}" for node in nodes)
            raise ConfigError(f"--set {self.key}: several nodes have {self.name!r}; say which: {choices}")
        if not nodes:
            known = {name for values in parameters.values() for name in values}
            raise ConfigError(f"--set {self.key}: unknown parameter {self.name!r}{suggest(self.name, known)}")
        return nodes[0]


def _user_folders() -> list[Path]:
    named = os.environ.get(TASK_PATH, "").split(os.pathsep)
    # In a checkout ./tasks may be the package's own.
    taken = {folder.resolve() for folder in _shipped_folders()}
    folders = {folder.resolve(): folder for folder in [*(Path(p) for p in named if p), Path("tasks")]}
    return [folder for place, folder in folders.items() if folder.is_dir() and place not in taken]


def _shipped_folders() -> list[Path]:
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    here = Path(__file__).resolve()
    installed = [prefix / "share" / "serl_bringup" / "tasks" for prefix in [*prefixes, *here.parents]]
    return [folder for folder in [*installed, here.parents[1] / "tasks"] if folder.is_dir()]


def _find(name: str) -> Path:
    places = task_places(name)
    if len(places) > 1:
        raise ConfigError(
            f"task {name!r} is ambiguous, rename all but one: {', '.join(_shown(place) for place in places)}"
        )
    for place in places:
        if not (place / "env.yaml").is_file():
            raise ConfigError(f"task {name!r}: {_shown(place)} has no env.yaml")
        return place
    known = list_tasks()
    raise ConfigError(
        f"unknown task {name!r}{suggest(name, known)}; tasks: {', '.join(known) or 'none found'}"
    )


def _let_import_from(folder: Path) -> None:
    """Let this process, and whatever it starts, import the modules beside a task's files.

    By the environment variable and not node by node: nodes, launched processes and those that they start inherit it.
    Last on the path, so that a task's files hide none of the environment's own entries.
    """
    place = str(folder.resolve())
    searched = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    if place not in searched:
        os.environ["PYTHONPATH"] = os.pathsep.join([*searched, place])
    if place not in sys.path:
        sys.path.append(place)


def _read(path: Path, node: str = "") -> dict[str, dict[str, Any]]:
    """Return the values by node of a file, which may have only `node` if one is given."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{_shown(path)}: not YAML ({_one_line(error)})") from error
    except OSError as error:
        raise ConfigError(f"{_shown(path)}: cannot be read ({error.strerror})") from error
    if not isinstance(content, dict) or (node and list(content) != [node]):
        found = ", ".join(map(str, content)) if isinstance(content, dict) else "none"
        wanted = f"one key, {node!r}," if node else "names of nodes"
        raise ConfigError(f"{_shown(path)}: must hold {wanted} and under it ros__parameters; found: {found}")
    return {name: _values(path, name, body) for name, body in content.items()}


def _values(path: Path, node: str, body: Any) -> dict[str, Any]:
    if not isinstance(body, dict) or list(body) != ["ros__parameters"]:
        raise ConfigError(f"{_shown(path)}: under {node!r} there must be ros__parameters and nothing else")
    values = {} if body["ros__parameters"] is None else body["ros__parameters"]
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(f"{_shown(path)}: ros__parameters must hold names and values, got {values!r}")
    return values


def _check(classes: Sequence[type], name: str, value: Any, where: str) -> Any:
    """Return the value as the config classes want it; a name in several classes must suit each of them."""
    owners = [cls for cls in classes if name in {setting.name for setting in descriptors(cls)}]
    if not owners:
        known = {setting.name for cls in classes for setting in descriptors(cls)}
        raise ConfigError(f"{where}: unknown parameter {name!r}{suggest(name, known)}")
    for cls in owners:
        value = getattr(from_mapping(cls, {name: value}, where), name)
    return value


def _hint(classes: Sequence[type], name: str) -> Any:
    return next((hints[name] for cls in classes if name in (hints := get_type_hints(cls))), None)


def _yaml_text(value: Any) -> str:
    """Return a value such that rcl and PyYAML read back its very type: 1.0 not 1, "on" not on."""
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_yaml_text(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = repr(value)
        if "inf" in text:
            return text.replace("inf", ".inf")
        mantissa, e, exponent = text.partition("e")
        return (mantissa if "." in mantissa else mantissa + ".0") + e + exponent
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


def _shown(path: Path) -> str:
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
