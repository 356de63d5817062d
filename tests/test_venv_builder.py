# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Pip's configuration reaches uv, failures are explained, the wheels' CMake files are put right."""

import os
from pathlib import Path

import pytest

import venv_builder

EXPORTED = """set_target_properties(std_msgs::py PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "/opt/python/cp{v}-cp{v}/include/python3.{m};\
/opt/python/cp{v}-cp{v}/lib/python3.{m}/site-packages/numpy/_core/include"
)
"""


@pytest.mark.parametrize(("v", "m"), [("310", "10"), ("311", "11"), ("314", "14")])
def test_cmake_files_point_at_this_environment_after_patching(tmp_path: Path, v: str, m: str) -> None:
    folder = tmp_path / "share" / "std_msgs" / "cmake"
    folder.mkdir(parents=True)
    file, other = folder / "export_pyExport.cmake", folder / "other.cmake"
    text = EXPORTED.format(v=v, m=m)
    file.write_text(text)
    other.write_text("set(a b)\n")
    cached = tmp_path / "cached"
    os.link(file, cached)
    include, numpy = Path(r"/my/\1 include"), Path("/my/numpy/include")
    assert venv_builder.patch_cmake(tmp_path, include, numpy) == 1
    assert f'"{include};{numpy}"' in file.read_text()
    assert "/opt/python" not in file.read_text()
    assert cached.read_text() == text, "the installer's cache is not touched"
    assert venv_builder.patch_cmake(tmp_path, include, numpy) == 0, "a second time changes nothing"


def test_only_the_type_supports_in_use_stay_registered(tmp_path: Path) -> None:
    for name in (*venv_builder.UNUSED_GENERATORS, "rosidl_typesupport_fastrtps_c"):
        folder = tmp_path / "share" / name / "cmake"
        folder.mkdir(parents=True)
        (folder / f"{name}-extras.cmake").write_text(
            'find_package(rosidl)\nament_register_extension(\n  "rosidl_generate_idl_interfaces"\n'
            f'  "{name}"\n  "{name}_generate_interfaces.cmake")\nset(kept TRUE)\n'
        )
    index = tmp_path / "share/ament_index/resource_index"
    for language in ("c", "cpp"):
        (index / f"rosidl_typesupport_{language}").mkdir(parents=True)
        for kind in ("fastrtps", "introspection"):
            name = f"rosidl_typesupport_{kind}_{language}"
            (index / f"rosidl_typesupport_{language}" / name).write_text("")
    venv_builder.keep_c_type_supports(tmp_path)
    for name in venv_builder.UNUSED_GENERATORS:
        text = (tmp_path / "share" / name / "cmake" / f"{name}-extras.cmake").read_text()
        assert "ament_register_extension" not in text
        assert text.startswith("find_package(rosidl)\n") and text.endswith("set(kept TRUE)\n")
    used = tmp_path / "share/rosidl_typesupport_fastrtps_c/cmake/rosidl_typesupport_fastrtps_c-extras.cmake"
    assert "ament_register_extension" in used.read_text()
    assert len(list((index / "rosidl_typesupport_c").iterdir())) == 2
    assert [m.name for m in (index / "rosidl_typesupport_cpp").iterdir()] == [
        "rosidl_typesupport_fastrtps_cpp"
    ]


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("Failed to establish a new connection: [Errno -3] Temporary failure in name resolution", "registry"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "disk is full",
        ),
        (f"ERROR: No matching distribution found for {venv_builder.UV}", "registry cannot be reached"),
        ("ERROR: No matching distribution found for jaxlib==9.9", "no jaxlib==9.9 for Python"),
        ("ERROR: something quite new", "something quite new"),
    ],
)
def test_a_failed_installation_is_one_line_that_names_cause_and_log(
    tmp_path: Path, output: str, cause: str
) -> None:
    log = tmp_path / "install.log"
    log.write_text(f"Collecting jax\n{output}\n")
    failure = venv_builder.diagnose(log)
    assert len(failure.lines) == 1
    assert cause in failure.lines[0] and str(log) in failure.lines[0]
    assert failure.code == 2


def test_pip_settings_are_read_whichever_way_they_were_set() -> None:
    settings = venv_builder.parse_pip_settings(
        "global.index-url='https://mirror.example/simple'\n"
        "install.trusted-host='mirror.example'\n"
        ":env:.extra-index-url='https://a.example/simple https://b.example/simple'\n"
        "global.find-links='\\n/one\\n/two'\n"
        "global.timeout='60'\n"
        "freeze.timeout='10'\n"
    )
    assert settings["index-url"] == ["https://mirror.example/simple"]
    assert settings["extra-index-url"] == ["https://a.example/simple", "https://b.example/simple"]
    assert settings["find-links"] == ["/one", "/two"]
    assert venv_builder.parse_pip_settings("") == {}


def test_pip_settings_become_arguments_and_variables_of_uv(tmp_path: Path) -> None:
    settings = {
        "index-url": ["https://mirror.example/simple"],
        "extra-index-url": ["file:///does/not/exist", "https://b.example/simple"],
        "find-links": [str(tmp_path)],
        "cert": ["/etc/ca.pem"],
        "timeout": ["60"],
    }
    assert venv_builder.uv_arguments(settings) == [
        "--index-url", "https://mirror.example/simple",
        "--extra-index-url", "https://b.example/simple",
        "--find-links", str(tmp_path),
        "--index-strategy", "unsafe-best-match",
    ]  # fmt: skip
    assert venv_builder.uv_arguments({}) == []
    variables = venv_builder.uv_variables(settings, {"HOME": "/h", "VIRTUAL_ENV": "/elsewhere"})
    assert variables == {"HOME": "/h", "SSL_CERT_FILE": "/etc/ca.pem"}
    assert venv_builder.uv_variables(settings, {"SSL_CERT_FILE": "/mine"})["SSL_CERT_FILE"] == "/mine"


def test_every_requirement_is_pinned_exactly() -> None:
    root = Path(__file__).resolve().parents[1]
    for name in ("requirements.txt", "requirements-ros.txt", "requirements-dev.txt"):
        lines = [line for line in (root / name).read_text().splitlines() if line and not line.startswith("#")]
        assert lines and all("==" in line.partition(";")[0] for line in lines)
