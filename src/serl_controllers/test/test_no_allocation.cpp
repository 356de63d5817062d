// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
// No function of the control path takes memory from the heap. malloc itself is replaced, so operator new, Eigen and
// the C library are all counted.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <memory>

#include "random_inputs.hpp"
#include "serl_controllers/cartesian_impedance_law.hpp"

#ifndef __GLIBC__
#error "this test replaces malloc in the way of the GNU C library"
#endif

namespace
{

thread_local bool counting = false;
thread_local int allocations = 0;

void count() noexcept
{
  if (counting) {++allocations;}
}

/// Allocations made by the calling thread while `function` runs.
template<typename Function>
int count_allocations(Function && function)
{
  allocations = 0;
  counting = true;
  function();
  counting = false;
  return allocations;
}

}  // namespace

extern "C" {

void * __libc_malloc(std::size_t size);
void * __libc_calloc(std::size_t number, std::size_t size);
void * __libc_realloc(void * memory, std::size_t size);
void * __libc_memalign(std::size_t alignment, std::size_t size);

void * malloc(std::size_t size)
{
  count();
  return __libc_malloc(size);
}

void * calloc(std::size_t number, std::size_t size)
{
  count();
  return __libc_calloc(number, size);
}

void * realloc(void * memory, std::size_t size)
{
  count();
  return __libc_realloc(memory, size);
}

void * memalign(std::size_t alignment, std::size_t size)
{
  count();
  return __libc_memalign(alignment, size);
}

void * aligned_alloc(std::size_t alignment, std::size_t size)
{
  count();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void ** memory, std::size_t alignment, std::size_t size)
{
  count();
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? 12 : 0;  // ENOMEM
}

}  // extern "C"

namespace serl_controllers
{
namespace
{

TEST(NoAllocation, TheCounterCounts)
{
  EXPECT_EQ(count_allocations([] {}), 0);
  EXPECT_GE(count_allocations([] {std::make_unique<volatile int>(1);}), 1);
  EXPECT_GE(count_allocations([] {std::free(std::malloc(static_cast<std::size_t>(std::rand()) % 64 + 1));}), 1);
  EXPECT_GE(count_allocations([] {Eigen::MatrixXd::Random(6, 7).eval();}), 1);
}

TEST(NoAllocation, OnTheWholeControlPath)
{
  RandomInputs random(1);
  for (int run = 0; run < 100; ++run) {
    RobotState state = random.state(1.0);
    const RobotState next_state = random.state(1.0);
    RobotState bad_state = state;
    bad_state.q[0] = std::numeric_limits<double>::quiet_NaN();
    const Command command = random.command();
    Command bad_command = command;
    bad_command.X_BE_target.orientation.coeffs().setZero();
    bad_command.feed_forward[0] = std::numeric_limits<double>::infinity();
    const ImpedanceGains gains = random.gains();
    const ImpedanceGains other_gains = random.gains();
    ImpedanceGains bad_gains = gains;
    bad_gains.damping[0] = -1.0;
    const int allocated = count_allocations(
      [&] {
        CartesianImpedanceLaw law;
        law.update(state, command, 1e-3);
        static_cast<void>(law.set_gains(gains));
        law.reset(state);
        law.update(state, command, 1e-3);
        static_cast<void>(law.set_gains(other_gains));
        law.update(next_state, command, 1e-3);
        static_cast<void>(law.set_gains(bad_gains));
        law.update(next_state, bad_command, 1e-3);
        law.update(bad_state, command, 1e-3);
        law.update(next_state, command, 0.0);
        static_cast<void>(law.set_gains(ImpedanceGains::precise()));
        for (int i = 0; i < 100; ++i) {law.update(state, command, 1e-3);}
        law.reset(bad_state);
      });
    ASSERT_EQ(allocated, 0);
  }
}

}  // namespace
}  // namespace serl_controllers
