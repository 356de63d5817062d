# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Images of the wrist cameras, rendered off screen on a GPU (EGL) or a CPU (EGL with Mesa, or OSMesa)."""

from __future__ import annotations

import ctypes
import importlib
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from serl_core.errors import ConfigError, SchemaError, SerlError
from serl_core.parameters import parameter

_NO_GL = (
    "no off-screen OpenGL library was found to render the cameras: install libegl1 or libosmesa6 "
    "(Debian: apt install libegl1), or train on state with obs=state"
)
WHOLE_PIXELS = 480
"""Width and height of the whole picture that crops are measured in."""
_PLAIN = (
    mujoco.mjtRndFlag.mjRND_SHADOW,
    mujoco.mjtRndFlag.mjRND_REFLECTION,
    mujoco.mjtRndFlag.mjRND_SKYBOX,
    mujoco.mjtRndFlag.mjRND_FOG,
    mujoco.mjtRndFlag.mjRND_HAZE,
)


@dataclass(frozen=True)
class CameraConfig:
    """Settings of the camera node."""

    model_path: str = parameter("", "the scene, as `describe` wrote it (scene.mjb)")
    cameras: tuple[str, ...] = parameter(("wrist_1", "wrist_2"), "cameras of the scene to render")
    rate_hz: float = parameter(10.0, "images of each camera per second [Hz]", 0.1, 100.0)
    height: int = parameter(128, "of an image [pixels]", 16, 480)
    width: int = parameter(128, "of an image [pixels]", 16, 640)


def load_scene(model_path: str) -> mujoco.MjModel:
    """Read the model that `describe` wrote; ConfigError if there is none of this MuJoCo version."""
    if not model_path:
        raise ConfigError("model_path is empty: name the scene.mjb that `ros2 run serl_sim describe` wrote")
    try:
        return mujoco.MjModel.from_binary_path(model_path)
    except Exception as error:  # MuJoCo raises what its version likes
        raise ConfigError(
            f"no scene could be read from {model_path}: it is missing, or was written by another MuJoCo than "
            f"{mujoco.__version__}: run `ros2 run serl_sim describe` again"
        ) from error


def joint_positions(
    model: mujoco.MjModel, names: Sequence[str], positions: Sequence[float]
) -> NDArray[np.float64]:
    """Sort positions by joint name into the order of a model of hinges.

    Args:
        model: Whose joints are wanted.
        names, positions: As a `sensor_msgs/JointState` has them [rad]; other robots' joints may be among them.

    Returns:
        qpos, shape (nq,) [rad].

    Raises:
        SchemaError: if a joint is missing or its position is not finite.
    """
    found = dict(zip(names, positions, strict=False))
    wanted = [model.joint(number).name for number in range(model.njnt)]
    for name in wanted:
        if not np.isfinite(found.get(name, np.nan)):
            raise SchemaError(f"the joint states have no finite position of {name}")
    return np.array([found[name] for name in wanted], np.float64)


class WristCameras:
    """Renders the cameras of a scene. Use it from the thread that made it.

    Args:
        model: What is looked at.
        keys: Which cameras, in the order of the images.
        height, width: Of an image [pixels].
        crops: (left, top, width, height) for each camera, of a whole picture of `WHOLE_PIXELS` squared, flat; only
            that part is drawn, at the image's resolution. Empty: all of it.

    Raises:
        SerlError: if there is no off-screen OpenGL, or no camera of that name.
        ConfigError: if a crop does not lie in the picture.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        keys: Sequence[str],
        height: int = 128,
        width: int = 128,
        crops: Sequence[int] = (),
    ) -> None:
        parts = _parts(keys, crops)
        present = [model.camera(number).name for number in range(model.ncam)]
        unknown = [key for key in keys if key not in present]
        if unknown:
            raise SerlError(f"the scene has no camera '{unknown[0]}', only {', '.join(present)}")
        if height > model.vis.global_.offheight or width > model.vis.global_.offwidth:
            raise SerlError(
                f"images of {width} x {height} exceed the scene's "
                f"{model.vis.global_.offwidth} x {model.vis.global_.offheight}"
            )
        self._gl = _off_screen_context(width, height)
        self._gl.make_current()
        self._model, self._data = model, mujoco.MjData(model)
        self._shapes = mujoco.MjvScene(model, maxgeom=200)
        for flag in _PLAIN:
            self._shapes.flags[flag] = False
        self._option = mujoco.MjvOption()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        # PyOpenGL cannot free anything once the interpreter shuts down, so it is done before, at the latest.
        self._release = weakref.finalize(self, _release, self._gl, self._context)
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        self._viewports = {key: _viewport(part, height, width) for key, part in parts.items()}
        self._pixels = np.empty((height, width, 3), dtype=np.uint8)
        self._views: dict[str, mujoco.MjvCamera] = {}
        for key in keys:
            view = mujoco.MjvCamera()
            view.type = mujoco.mjtCamera.mjCAMERA_FIXED
            view.fixedcamid = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, key)
            self._views[key] = view

    def render(self, qpos: ArrayLike) -> dict[str, NDArray[np.uint8]]:
        """Return what each camera sees with the joints at qpos (nq,): RGB (height, width, 3), top row first."""
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        self._gl.make_current()
        images = {}
        for key, view in self._views.items():
            mujoco.mjv_updateScene(
                self._model,
                self._data,
                self._option,
                None,
                view,
                mujoco.mjtCatBit.mjCAT_ALL.value,
                self._shapes,
            )
            mujoco.mjr_render(self._viewports[key], self._shapes, self._context)
            mujoco.mjr_readPixels(self._pixels, None, self._rectangle, self._context)
            images[key] = np.ascontiguousarray(self._pixels[::-1])
        return images

    def close(self) -> None:
        """Free what the graphics library holds; a second call does nothing."""
        self._release()


def off_screen_backend() -> str:
    """Name of the library that would render: "egl" or "osmesa"; MUJOCO_GL decides if it names one of them.

    Raises:
        SerlError: if neither is installed.
    """
    wanted = os.environ.get("MUJOCO_GL", "").strip().lower()
    if wanted in ("egl", "osmesa"):
        return wanted
    if _egl_has_device():
        return "egl"
    if any(_load(name) for name in ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")):
        return "osmesa"
    raise SerlError(_NO_GL)


def _parts(keys: Sequence[str], crops: Sequence[int]) -> dict[str, tuple[int, ...]]:
    if not crops:
        return dict.fromkeys(keys, (0, 0, WHOLE_PIXELS, WHOLE_PIXELS))
    if len(crops) != 4 * len(keys):
        raise ConfigError(
            f"crops must have 4 numbers (left, top, width, height) for each of {len(keys)} cameras, got {len(crops)}"
        )
    parts = {key: tuple(crops[4 * i : 4 * i + 4]) for i, key in enumerate(keys)}
    for key, (left, top, across, down) in parts.items():
        inside = left + across <= WHOLE_PIXELS and top + down <= WHOLE_PIXELS
        if min(left, top) < 0 or min(across, down) < 1 or not inside:
            raise ConfigError(
                f"camera {key}: crop {parts[key]} does not lie in a picture of {WHOLE_PIXELS} x {WHOLE_PIXELS}"
            )
    return parts


def _viewport(part: tuple[int, ...], height: int, width: int) -> mujoco.MjrRect:
    """Return where the whole picture has to be drawn for a part of it to fill the image; from its bottom left."""
    left, top, across, down = part
    x, y = width / across, height / down
    bottom = WHOLE_PIXELS - top - down
    return mujoco.MjrRect(
        *(round(pixels) for pixels in (-left * x, -bottom * y, WHOLE_PIXELS * x, WHOLE_PIXELS * y))
    )


def _off_screen_context(width: int, height: int) -> Any:
    backend = off_screen_backend()
    # PyOpenGL binds to one platform for the life of the process: name the right one before
    # its first import.
    os.environ.setdefault("PYOPENGL_PLATFORM", backend)
    try:
        return importlib.import_module(f"mujoco.{backend}").GLContext(width, height)
    except Exception as error:  # a missing library may come as ImportError, OSError, AttributeError, ...
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise SerlError(f"{_NO_GL} ({backend}: {reason})") from error


def _release(gl: Any, context: mujoco.MjrContext) -> None:
    gl.make_current()
    context.free()
    gl.free()


def _load(name: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


def _egl_has_device() -> bool:
    """True if EGL is installed and offers a device, be it Mesa's software one."""
    library = _load("libEGL.so.1")
    if library is None:
        return False
    library.eglGetProcAddress.restype = ctypes.c_void_p
    address = library.eglGetProcAddress(b"eglQueryDevicesEXT")
    if not address:
        return False
    signature = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))
    query = signature(address)
    count = ctypes.c_int(0)
    return bool(query(0, None, ctypes.byref(count))) and count.value > 0
