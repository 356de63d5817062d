# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""People in the loop: input devices, take-over rules and scripted operators, all without ROS."""
