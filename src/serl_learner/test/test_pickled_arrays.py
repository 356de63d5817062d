# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Files of frozen weights: a pickle is read as data and never runs, and what is no ResNet-10 is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from vision_cases import FILTERS, backbone

from serl_core.errors import ConfigError, SchemaError
from serl_learner.vision import backbone_file
from serl_learner.vision.backbone_file import load_backbone
from serl_learner.vision.pickled_arrays import read_arrays

PREAMBLE = "import collections, os, pickle, sys, numpy as np\nrng = np.random.default_rng(0)\n"


def dumped(expression: str, protocol: int = 4, before: str = "") -> bytes:
    """What another process pickles, as whoever published a file did."""
    code = f"{PREAMBLE}{before}\nsys.stdout.buffer.write(pickle.dumps({expression}, protocol={protocol}))"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_come_out_as_they_went_in(protocol: int) -> None:
    content = (
        "{'a': {'kernel': rng.normal(size=(2, 3)).astype('f4'), 'empty': np.zeros((0, 2)), 'same': shared},"
        " 'b': collections.OrderedDict(half=np.arange(6, dtype='f2').reshape(2, 3).T, same=shared),"
        " 'big': np.arange(3, dtype='>i4'), 'flags': np.array([True, False]), 'one': np.full((), 2.0)}"
    )
    found = read_arrays(dumped(content, protocol, "shared = np.arange(300.0)"))
    assert list(found) == ["a", "b", "big", "flags", "one"]
    expected = np.random.default_rng(0).normal(size=(2, 3)).astype("f4")
    assert np.array_equal(found["a"]["kernel"], expected) and found["a"]["kernel"].dtype == np.float32
    assert found["a"]["empty"].shape == (0, 2)
    assert np.array_equal(found["b"]["half"], np.arange(6).reshape(2, 3).T)
    assert np.array_equal(found["a"]["same"], np.arange(300.0)) and found["b"]["same"].dtype == np.float64
    assert found["big"].tolist() == [0, 1, 2] and found["flags"].tolist() == [True, False]
    assert found["one"] == 2.0


def test_arrays_of_jax_and_dictionaries_of_flax_are_read() -> None:
    before = "import jax.numpy as jnp\nfrom flax.core import freeze"
    found = read_arrays(dumped("freeze({'a': {'kernel': jnp.arange(4.0)}})", 4, before))
    assert np.array_equal(found["a"]["kernel"], np.arange(4.0, dtype=np.float32))


MEAN = """
class Mean:
    def __reduce__(self): return {reduce}
"""


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    "reduce",
    [
        "(os.system, ('touch {proof}',))",
        "(eval, ('open(chr(34)+str(1), chr(119))',))",
        "(getattr, ('text', 'upper'))",
        "(np.fromfile, ('{proof}',))",
        "(exec, ('1',), {{'a': 1}})",
    ],
)
def test_code_is_never_run(reduce: str, protocol: int, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    before = MEAN.format(reduce=reduce.format(proof=proof))
    data = dumped("{'a': Mean(), 'b': np.zeros(2)}", protocol, before)
    with pytest.raises(SchemaError, match="refused") as error:
        read_arrays(data)
    assert not proof.exists() and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("expression", "cause"),
    [
        ("{'a': np.array([{}], object)}", "no number"),
        ("{'a': np.array(['text'])}", "no number"),
        ("{'a': 'text'}", "holds a str"),
        ("{'a': [np.zeros(2)]}", "holds a list"),
        ("{1: np.zeros(2)}", "holds a dict"),
        ("{'a': np.float32(1)}", "refused"),
        ("{'a': {1, 2}}", "opcode EMPTY_SET"),
        ("np.zeros((2, 2)).__class__", "holds a Name"),
        ("{'a': open}", "holds a Name"),
        ("{'a': 1.5}", "holds a float"),
    ],
)
def test_what_is_not_arrays_by_name_is_refused(expression: str, cause: str) -> None:
    with pytest.raises(SchemaError, match=cause):
        read_arrays(dumped(expression))


def test_no_damage_gets_through_as_another_error() -> None:
    whole = dumped("{'a': np.arange(20.0), 'b': {'c': np.zeros((3, 4), 'f4')}}", 4)
    rng = np.random.default_rng(0)
    for length in range(len(whole)):
        with pytest.raises(SchemaError):
            read_arrays(whole[:length])
    for _ in range(1500):
        damaged = bytearray(whole)
        for place in rng.integers(len(damaged), size=rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        try:
            read_arrays(bytes(damaged))
        except SchemaError as error:
            assert "\n" not in str(error)
    with pytest.raises(SchemaError):
        read_arrays(b"")


NESTED = """
import safetensors.numpy
tree = {{'output_head': {{'kernel': np.zeros((2, 2), np.float32)}}}}
for name, leaf in safetensors.numpy.load_file({path!r}).items():
    *path, last = name.split('/')
    place = tree
    for part in path:
        place = place.setdefault(part, {{}})
    place[last] = leaf
"""
"""Dictionaries of dictionaries as published, with a classifier that no encoder needs."""


def write(path: Path, leaves: dict[str, np.ndarray]) -> Path:
    plain = path.with_suffix(".safetensors")
    plain.write_bytes(safetensors.numpy.save(leaves))
    if path != plain:
        path.write_bytes(dumped("tree", 4, NESTED.format(path=str(plain))))
    return path


def test_the_published_form_and_safetensors_hold_the_same_backbone(tmp_path: Path) -> None:
    pickled = load_backbone(write(tmp_path / "resnet10_params.pkl", backbone().leaves))
    plain = load_backbone(str(tmp_path / "resnet10_params.safetensors"))
    assert pickled.digest == plain.digest == backbone().digest != backbone(1).digest
    assert pickled.filters == FILTERS and "output_head/kernel" not in pickled.leaves
    assert all(np.array_equal(pickled.leaves[name], leaf) for name, leaf in backbone().leaves.items())


def test_the_published_network_has_its_known_size() -> None:
    shapes = backbone_file.leaf_shapes((64, 128, 256, 512))
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 4_905_792


def test_a_file_that_is_missing_says_where_to_get_it(tmp_path: Path) -> None:
    for path in ("", tmp_path / "nowhere.pkl"):
        with pytest.raises(
            ConfigError, match=r"fetch https://.*resnet10_params\.pkl and set resnet10_weights"
        ):
            load_backbone(path)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (
            lambda leaves: leaves.pop("ResNetBlock_2/conv_proj/kernel"),
            "ResNetBlock_2/conv_proj/kernel is missing",
        ),
        (lambda leaves: leaves.pop("ResNetBlock_0/Conv_0/kernel"), "is missing"),
        (
            lambda leaves: leaves.update({"norm_init/scale": np.zeros(3, np.float32)}),
            r"norm_init/scale must have shape \(4,\), got \(3,\)",
        ),
        (lambda leaves: leaves["norm_init/bias"].fill(np.nan), "norm_init/bias contains NaN"),
    ],
)
def test_other_networks_are_refused_by_name(change, cause: str, tmp_path: Path) -> None:
    leaves = {name: leaf.copy() for name, leaf in backbone().leaves.items()}
    change(leaves)
    with pytest.raises(SchemaError, match=cause):
        load_backbone(write(tmp_path / "other.safetensors", leaves))


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    for name in ("noise.safetensors", "noise.pkl"):
        path = tmp_path / name
        path.write_bytes(b"no weights at all")
        with pytest.raises(SchemaError, match=name) as error:
            load_backbone(path)
        assert "\n" not in str(error.value)
