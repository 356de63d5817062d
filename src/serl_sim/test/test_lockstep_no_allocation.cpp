// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
// A cycle of the hardware takes no memory from the heap. malloc itself is replaced, so the whole program with MuJoCo
// and ros2_control in it is counted; on its own for that reason.
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>

#include "lockstep_harness.hpp"

#ifndef __GLIBC__
#error "this test replaces malloc in the way of the GNU C library"
#endif

namespace
{
thread_local bool counting = false;
thread_local int allocations = 0;

void count() noexcept
{
  if (counting) {
    ++allocations;
  }
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

namespace serl_sim
{
namespace
{

template <typename Function>
int count_allocations(Function && function)
{
  allocations = 0;
  counting = true;
  function();
  counting = false;
  return allocations;
}

TEST(NoAllocation, TheCounterCounts)
{
  EXPECT_GE(count_allocations([] { std::make_unique<volatile int>(1); }), 1);
}

TEST(NoAllocation, InFreeMotionContactAndPause)
{
  Harness arm;
  arm.activate();
  serl_controllers::Vector7 down = serl_controllers::Vector7::Zero();
  down[1] = 3.0;  // turns the stick into the table
  EXPECT_EQ(
    count_allocations([&] {
      for (int i = 0; i < 2000; ++i) {
        arm.cycle(down);
      }
    }),
    0);
  EXPECT_NE(arm.state("tcp_wrench/force.x"), 0.0);
  arm.release();
  EXPECT_EQ(count_allocations([&] { arm.cycle(down); }), 0);
}

}  // namespace
}  // namespace serl_sim
