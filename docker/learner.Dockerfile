# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
# The learner's machine: ROS 2's middleware, this workspace's Python packages, JAX on CUDA. From the repository root:
#   docker build -f docker/learner.Dockerfile -t serl-learner .
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive

RUN apt-get update \
    && apt-get install --yes --no-install-recommends libegl1 python3-pip \
    && rm -rf /var/lib/apt/lists/*

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

# The Python packages that no distribution has, in front of the distribution's own (docs/adr/0001). JAX brings CUDA
# along as wheels: the host needs NVIDIA's driver and container toolkit only.
COPY requirements.txt ./
RUN pip install --break-system-packages --ignore-installed --no-deps --no-cache-dir --requirement requirements.txt \
    && version=$(python3 -c 'import importlib.metadata as m; print(m.version("jax"))') \
    && pip install --break-system-packages --no-cache-dir "jax[cuda12]==${version}"

COPY src src
RUN source "/opt/ros/${ROS_DISTRO}/setup.bash" \
    && colcon build --merge-install --cmake-args -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \
    && rm -rf build log && mkdir -p /franka/install && touch /franka/install/setup.bash

COPY docker/entrypoint.sh /entrypoint.sh
ENV RMW_IMPLEMENTATION=rmw_fastrtps_cpp XLA_PYTHON_CLIENT_PREALLOCATE=false
VOLUME /runs
WORKDIR /runs
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "serl_bringup", "pcb_insertion.launch.py", "actor:=false"]
