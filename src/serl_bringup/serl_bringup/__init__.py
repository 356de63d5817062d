# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Task folders, the graph of nodes, and the `serl` command line."""
