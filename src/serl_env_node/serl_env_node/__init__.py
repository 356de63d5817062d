# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The environment: clock of the loop, owner of the truth of a step."""
