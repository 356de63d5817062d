# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
# The ros2_control plugins and the documentation of their parameters.
add_library(serl_controller_plugins SHARED
  src/arm_model.cpp
  src/cartesian_impedance_controller.cpp
  src/joint_interfaces.cpp
  src/joint_reset_controller.cpp)

find_program(generate_parameter_library_markdown generate_parameter_library_markdown)
foreach(controller IN ITEMS cartesian_impedance_controller joint_reset_controller)
  set(parameters "src/${controller}_parameters.yaml")
  generate_parameter_library(${controller}_parameters ${parameters} src/parameter_validators.hpp)
  target_link_libraries(serl_controller_plugins PUBLIC ${controller}_parameters)
  if(generate_parameter_library_markdown)
    set(document "${CMAKE_CURRENT_BINARY_DIR}/${controller}_parameters.md")
    add_custom_command(OUTPUT "${document}"
      COMMAND "${generate_parameter_library_markdown}"
      --input_yaml_file "${CMAKE_CURRENT_SOURCE_DIR}/${parameters}" --output_markdown_file "${document}"
      DEPENDS "${parameters}" VERBATIM)
    add_custom_target(${controller}_documentation ALL DEPENDS "${document}")
    install(FILES "${document}" DESTINATION share/${PROJECT_NAME}/doc)
  endif()
endforeach()

target_link_libraries(serl_controller_plugins PUBLIC
  serl_control_law
  controller_interface::controller_interface
  diagnostic_updater::diagnostic_updater
  hardware_interface::hardware_interface
  pluginlib::pluginlib
  rclcpp::rclcpp
  rclcpp_action::rclcpp_action
  rclcpp_lifecycle::rclcpp_lifecycle
  realtime_tools::realtime_tools
  ${geometry_msgs_TARGETS}
  ${serl_msgs_TARGETS})
if(pinocchio_FOUND)
  target_compile_definitions(serl_controller_plugins PRIVATE SERL_CONTROLLERS_WITH_PINOCCHIO)
  target_link_libraries(serl_controller_plugins PRIVATE serl_pinocchio_arm_model)
endif()
if(franka_semantic_components_FOUND)
  target_sources(serl_controller_plugins PRIVATE src/franka_arm_model.cpp)
  target_compile_definitions(serl_controller_plugins PRIVATE SERL_CONTROLLERS_WITH_FRANKA)
  # franka_ros2 exports variables, not targets.
  target_include_directories(serl_controller_plugins SYSTEM PRIVATE ${franka_semantic_components_INCLUDE_DIRS})
  target_link_libraries(serl_controller_plugins PRIVATE ${franka_semantic_components_LIBRARIES})
endif()
set_target_properties(serl_controller_plugins PROPERTIES INSTALL_RPATH "\$ORIGIN")

pluginlib_export_plugin_description_file(controller_interface serl_controllers_plugins.xml)
install(TARGETS serl_controller_plugins LIBRARY DESTINATION lib)
install(DIRECTORY config DESTINATION share/${PROJECT_NAME})
