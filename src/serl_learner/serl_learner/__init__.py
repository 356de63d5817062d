# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Learning from transitions: agents, replay, checkpoints, and the loop that joins them."""
