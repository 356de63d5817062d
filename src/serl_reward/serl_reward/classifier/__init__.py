# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Rewards from images: labelled frames in, a calibrated classifier and a report on it out (SERL, IV-B)."""
