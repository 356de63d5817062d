# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
