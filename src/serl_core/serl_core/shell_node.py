# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The thin ROS shell that every node of the suite shares: parameters, diagnostics, orderly start and end."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import signal
import sys
import threading
import traceback
import typing
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from serl_core.errors import SerlError
from serl_core.memory import keep_freed_memory
from serl_core.parameters import Descriptor, descriptors, from_mapping
from serl_core.shell_parent import PARENT_VARIABLE

T = TypeVar("T")

EXIT_FAULT = 3
"""Exit status of a node that ended on an error it named in one line on standard error."""


class ShellNode(LifecycleNode):
    """A lifecycle node that turns SerlErrors into one line and a failed transition.

    Subclasses override `setup` (on configure), `start` (on activate), `stop` (on deactivate), `release` (on
    cleanup and shutdown) and `diagnostics`. `fail` may be called from any thread: it ends the process with
    status 3 after an orderly `stop` and `release`. A process is configured once; asked again, it ends that way.
    """

    stops_for_good: ClassVar[bool] = False
    """Whether `stop` ends the node's work: activated again, it ends in one line too."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.failure = ""
        self._was_configured = False
        self._was_stopped = False
        self.ended = threading.Event()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 5)
        self.create_timer(1.0, self._publish_diagnostics)

    # What subclasses provide.

    def setup(self) -> None:
        """Read parameters, create publishers and subscriptions."""

    def start(self) -> None:
        """Begin to work."""

    def stop(self) -> None:
        """Cease to work; nothing moves afterwards."""

    def release(self) -> None:
        """Free what `setup` made."""

    def diagnostics(self) -> dict[str, Any]:
        """Return figures worth watching, by name."""
        return {}

    # What subclasses use.

    def config(self, config: type[T]) -> T:
        """Declare every setting of a config class as a ROS parameter and return the values, checked."""
        return declared(self, config)

    def fail(self, error: BaseException) -> None:
        """End the process because of `error`; a SerlError is shown as one line, a bug with its traceback."""
        if not self.failure:
            if not isinstance(error, SerlError):
                traceback.print_exception(error)
            self.failure = str(error) or type(error).__name__
            self.get_logger().fatal(self.failure)
        self.ended.set()

    def guarded(self, work: Callable[..., None]) -> Callable[..., None]:
        """Wrap a callback or thread body: an error in it ends the process by `fail`."""

        # rclpy asks for the signature: whether the callback takes a message's info too.
        @functools.wraps(work)
        def call(*args: Any) -> None:
            try:
                work(*args)
            except Exception as error:
                self.fail(error)

        return call

    # Lifecycle edges.

    def _edge(self, work: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            work()
            return TransitionCallbackReturn.SUCCESS
        except Exception as error:
            self.fail(error)
            return TransitionCallbackReturn.FAILURE

    def _refuse(self, again: str, was: str) -> None:
        raise SerlError(f"{self.get_name()} cannot be {again} again after it was {was}: start the node anew")

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `setup`, once."""
        if self._was_configured:
            return self._edge(lambda: self._refuse("configured", "cleaned up"))
        self._was_configured = True
        return self._edge(self.setup)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `start`, again only where a stop is not for good."""
        if self._was_stopped and self.stops_for_good:
            return self._edge(lambda: self._refuse("activated", "deactivated"))
        super().on_activate(state)
        return self._edge(self.start)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `stop`."""
        self._was_stopped = True
        super().on_deactivate(state)
        return self._edge(self.stop)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `release`."""
        return self._edge(self.release)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `stop` and `release`."""
        return self._edge(lambda: (self.stop(), self.release()))  # type: ignore[arg-type, func-returns-value]

    def _publish_diagnostics(self) -> None:
        """Publish the figures; once a second, this is the node's heartbeat too."""
        level = DiagnosticStatus.ERROR if self.failure else DiagnosticStatus.OK
        figures = {"version": _version(type(self)), **self.diagnostics()}
        values = [KeyValue(key=str(k), value=str(v)) for k, v in figures.items()]
        status = DiagnosticStatus(
            level=level, name=self.get_fully_qualified_name(), message=self.failure, values=values
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def declared(node: Any, config: type[T]) -> T:
    """Declare every setting of a config class as a ROS parameter of a node and return the values, checked."""
    hints = typing.get_type_hints(config)
    values = {}
    for setting in descriptors(config):
        if not node.has_parameter(setting.name):
            kind = _parameter_type(hints[setting.name])
            default = list(setting.default) if isinstance(setting.default, tuple) else setting.default
            initial = Parameter(setting.name, kind, default)
            node.declare_parameter(setting.name, initial.value or default, _descriptor(setting))
        value = node.get_parameter(setting.name).value
        values[setting.name] = setting.default if value is None else value
    return from_mapping(config, values, f"parameters of {node.get_name()}")


def _version(cls: type) -> str:
    """Return the version of the package that a class comes from, also when its module was started itself."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    module = spec.name if cls.__module__ == "__main__" and spec is not None else cls.__module__
    try:
        return importlib.metadata.version(module.partition(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _parameter_type(hint: Any) -> Parameter.Type:
    kinds = {bool: Parameter.Type.BOOL, int: Parameter.Type.INTEGER, float: Parameter.Type.DOUBLE,
             str: Parameter.Type.STRING}  # fmt: skip
    if typing.get_origin(hint) is tuple:
        return {
            float: Parameter.Type.DOUBLE_ARRAY,
            str: Parameter.Type.STRING_ARRAY,
            int: Parameter.Type.INTEGER_ARRAY,
        }[typing.get_args(hint)[0]]
    return kinds[hint]


def _descriptor(setting: Descriptor) -> ParameterDescriptor:
    # Dynamic typing: YAML's "10" must do for 10.0; from_mapping checks types and ranges, of lists too.
    descriptor = ParameterDescriptor(description=setting.description, dynamic_typing=True, read_only=True)
    if setting.choices:
        descriptor.additional_constraints = "one of: " + ", ".join(setting.choices)
    if setting.low is not None and setting.high is not None:
        if isinstance(setting.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=setting.low, to_value=setting.high)
            ]
        elif isinstance(setting.default, int):
            descriptor.integer_range = [IntegerRange(from_value=int(setting.low), to_value=int(setting.high))]
    return descriptor


def run(make: Callable[[], ShellNode]) -> None:
    """Run a node until it fails or is told to end (SIGINT, SIGTERM); exits 0, or 3 after a named failure."""
    parent = os.environ.get(PARENT_VARIABLE, "")
    keep_freed_memory()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = make()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: node.ended.set())
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not node.ended.is_set():
        executor.spin_once(timeout_sec=0.2)
        if parent and os.getppid() != int(parent):
            break  # whoever started this node is gone: nobody would end it
    for ending in (node.stop, node.release):
        node.guarded(ending)()
    failure = node.failure
    if failure:
        node._publish_diagnostics()  # who watches learns the reason, not only that the heartbeat is gone
    executor.remove_node(node)
    node.destroy_node()
    rclpy.shutdown()
    if failure:
        sys.stdout.flush()
        print(" ".join(failure.split()), file=sys.stderr, flush=True)
        os._exit(EXIT_FAULT)  # threads of libraries may neither delay the end nor have the last word
