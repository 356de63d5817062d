# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""How a node learns whose child it is."""

PARENT_VARIABLE = "SERL_PARENT"
"""Environment variable with the process id of the starter; a node whose parent is another ends itself."""
