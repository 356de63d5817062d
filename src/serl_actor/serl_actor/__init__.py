# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The acting side of the loop: policy runner, weight slot, operators."""
