# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Camera images to latent vectors: encoders, augmentation, frozen weights."""
