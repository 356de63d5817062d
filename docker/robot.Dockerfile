# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
# The robot PC, and a simulated run: ROS 2 with ros2_control, this workspace, the drivers. From the repository root:
#   docker build -f docker/robot.Dockerfile -t serl-robot .
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive

# Drivers of the bench, for which the packages have no dependency; FRANKA=false leaves out what a simulation needs not.
ARG FRANKA=true
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        libegl1 libosmesa6 python3-pip python3-venv \
    && if [ "${FRANKA}" = true ]; then \
        apt-get install --yes --no-install-recommends \
            "ros-${ROS_DISTRO}-realsense2-camera" "ros-${ROS_DISTRO}-spacenav" spacenavd; \
    fi \
    && rm -rf /var/lib/apt/lists/*

# Franka's own stack, at the release that fits the robot's firmware (docs/hardware.md); v3 is for Jazzy. The controller
# manager is built from the same sources as the hardware interface, where the release brings these along. From v3.4.0 on
# the packages are to include franka_bringup, which has the robot's description.
ARG FRANKA_ROS2=v3.3.0
ARG FRANKA_PACKAGES="controller_manager franka_description franka_gripper franka_hardware \
franka_robot_state_broadcaster franka_semantic_components"
WORKDIR /franka
RUN if [ "${FRANKA}" = true ]; then \
        git clone --depth 1 --branch "${FRANKA_ROS2}" https://github.com/frankarobotics/franka_ros2.git src/franka_ros2 \
        && cat src/franka_ros2/*.repos | vcs import src --recursive --skip-existing \
        && apt-get update && rosdep update --rosdistro "${ROS_DISTRO}" \
        && rosdep install --from-paths $(colcon list --packages-up-to ${FRANKA_PACKAGES} --paths-only) \
            --ignore-src --default-yes --rosdistro "${ROS_DISTRO}" \
        && source "/opt/ros/${ROS_DISTRO}/setup.bash" \
        && colcon build --merge-install --packages-up-to ${FRANKA_PACKAGES} \
            --cmake-args -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DBUILD_TESTS=OFF \
        && rm -rf build log /var/lib/apt/lists/*; \
    else mkdir -p install && touch install/setup.bash; fi

# What is installed changes seldom: the manifests come before the sources, so that editing these installs nothing again.
WORKDIR /serl
COPY src/serl_actor/package.xml src/serl_actor/
COPY src/serl_bringup/package.xml src/serl_bringup/
COPY src/serl_controllers/package.xml src/serl_controllers/
COPY src/serl_core/package.xml src/serl_core/
COPY src/serl_env_node/package.xml src/serl_env_node/
COPY src/serl_learner/package.xml src/serl_learner/
COPY src/serl_msgs/package.xml src/serl_msgs/
COPY src/serl_reward/package.xml src/serl_reward/
COPY src/serl_sim/package.xml src/serl_sim/
RUN apt-get update && rosdep update --rosdistro "${ROS_DISTRO}" \
    && rosdep install --from-paths src --ignore-src --default-yes --rosdistro "${ROS_DISTRO}" \
        --skip-keys "python3-mujoco-pip python3-gymnasium-pip" \
    && rm -rf /var/lib/apt/lists/*

# The Python packages that no distribution has, in front of the distribution's own (docs/adr/0001).
COPY requirements.txt ./
RUN pip install --break-system-packages --ignore-installed --no-deps --no-cache-dir --requirement requirements.txt

COPY src src
RUN source "/opt/ros/${ROS_DISTRO}/setup.bash" && source /franka/install/setup.bash \
    && colcon build --merge-install --cmake-args -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \
    && rm -rf build log

COPY docker/entrypoint.sh /entrypoint.sh
ENV RMW_IMPLEMENTATION=rmw_fastrtps_cpp MUJOCO_GL=egl
VOLUME /runs
WORKDIR /runs
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "serl_bringup", "pcb_insertion.launch.py", "--show-args"]
