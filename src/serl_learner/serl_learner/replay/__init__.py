# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""From transitions to batches: joining, storing, sampling."""
