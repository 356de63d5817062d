#!/bin/bash
# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
# Makes ROS 2, Franka's stack and this workspace known to whatever is started; signals reach it directly.
set -e
source "/opt/ros/${ROS_DISTRO}/setup.bash"
source /franka/install/setup.bash
source /serl/install/setup.bash
exec "$@"
