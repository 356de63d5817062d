# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A user's new task, written from the templates: they are themselves a task that runs, under another name."""

from __future__ import annotations

import re
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

from serl_bringup.tasks import task_places
from serl_core.errors import ConfigError

TEMPLATE = "my_task"
"""Name of the template's task; every occurrence, in the names of files too, becomes that of the new task."""
LICENCE = "# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0\n"
LONGEST_NAME = 64


def write_task(name: str, into: Path, force: bool = False) -> list[Path]:
    """Write the folder of a new task; return its files, sorted.

    Args:
        name: Of the task: snake_case, at most 64 characters, and not that of another task.
        into: Folder of tasks, made where missing; the task's own is `into / name`.
        force: Write over what is there; other files of that folder stay.

    Raises:
        ConfigError: the name will not do, the folder exists, or it cannot be written; one line.
    """
    folder = into / name
    if len(name) > LONGEST_NAME or not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ConfigError(
            f"task name {name!r} must be snake_case (letters a to z, digits, single underscores) and at most"
            f" {LONGEST_NAME} characters long, e.g. my_plug"
        )
    others = [place for place in task_places(name) if place.resolve() != folder.resolve()]
    if others:
        raise ConfigError(f"there is a task {name!r} already ({others[0]}): choose another name")
    if folder.exists() and not force:
        raise ConfigError(f"{folder} exists already: choose another name, or write over it with --force")
    source = Path(get_package_share_directory("serl_bringup")) / "templates" / TEMPLATE
    written = []
    try:
        for template in sorted(source.rglob("*")):
            if template.is_file() and template.suffix != ".pyc":
                path = folder / str(template.relative_to(source)).replace(TEMPLATE, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                # The new task is its author's, and so is the say about its licence.
                text = template.read_text(encoding="utf-8").removeprefix(LICENCE)
                path.write_text(text.replace(TEMPLATE, name), encoding="utf-8")
                written.append(path)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror} ({error.filename})") from error
    return sorted(written)
