# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Pages for a browser on this machine: what a person looks at and clicks while recording or labelling."""
