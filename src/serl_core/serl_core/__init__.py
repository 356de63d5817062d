# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Types, interfaces and the wire contract that all packages of the suite share."""
