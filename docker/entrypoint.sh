#!/bin/bash
# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
# Makes ROS 2, Franka's stack and this workspace known to whatever is started; signals reach it directly.
set -e
source "/opt/ros/${ROS_DISTRO}/setup.bash"
source /franka/install/setup.bash
source /serl/install/setup.bash
# The SpaceMouse's driver, where the image has it.
if command -v spacenavd >/dev/null; then
    rm -f /run/spnavd.pid # of before the container was restarted
    spacenavd || echo "entrypoint: spacenavd did not start, so there is no SpaceMouse" >&2
fi
exec "$@"
