# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
# Tests of the ros2_control plugins.
foreach(name IN ITEMS cartesian_impedance_controller joint_reset_controller no_allocation_in_update)
  ament_add_gtest(test_${name} test_${name}.cpp TIMEOUT 120)
  target_link_libraries(test_${name} serl_controller_plugins)
  if(TARGET serl_pinocchio_arm_model)
    target_link_libraries(test_${name} serl_pinocchio_arm_model)
  endif()
  target_compile_options(test_${name} PRIVATE -O1)
endforeach()

find_package(controller_manager QUIET)
if(controller_manager_FOUND)
  ament_add_gtest(test_controller_manager test_controller_manager.cpp TIMEOUT 120)
  target_link_libraries(test_controller_manager serl_control_law controller_manager::controller_manager)
  target_compile_definitions(test_controller_manager PRIVATE CONFIG_FOLDER="${PROJECT_SOURCE_DIR}/config")
else()
  message(STATUS "serl_controllers: without the test in a controller manager, which is not installed")
endif()
