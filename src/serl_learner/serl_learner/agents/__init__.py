# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Learning rules as pure functions over a state."""
