# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Camera images as files for a browser."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def png(pixels: np.ndarray) -> bytes:
    """Encode an image (height, width, 3) uint8, quickly rather than small."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", compress_level=1)
    return buffer.getvalue()
