#!/bin/bash
# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
# Installs the pinned Python packages beside a ROS distribution's own: python_packages.sh REQUIREMENTS [PACKAGE==JAX]...
#
# The distribution's message packages were compiled against its NumPy. Where that is NumPy 1 (Ubuntu 24.04: Jazzy and
# Kilted) it stays, and the older column of the requirements, which still knows NumPy 1, is taken.
set -euo pipefail
requirements=$1
chosen=$(mktemp)
if python3 -c 'import numpy, sys; sys.exit(int(numpy.__version__.split(".")[0]) >= 2)'; then
    grep -v '^numpy==' "$requirements" | grep -v "python_full_version >= '3.11'" | sed 's/ *;.*//' >"$chosen"
else
    grep -v '^numpy==' "$requirements" >"$chosen"
fi
options=(--break-system-packages --ignore-installed --no-cache-dir)
pip install "${options[@]}" --no-deps --requirement "$chosen"
shift
version=$(python3 -c 'import importlib.metadata as m; print(m.version("jax"))')
for package in "$@"; do
    pip install --break-system-packages --no-cache-dir "${package}==${version}"
done
rm "$chosen"
