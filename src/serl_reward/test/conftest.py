# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
import jax

# Implicit rank promotion hides shape errors in losses: (B,) + (E, B) works where (E, B) + (B, 1) was meant.
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_disable_most_optimizations", True)
