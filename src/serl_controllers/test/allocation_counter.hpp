// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef ALLOCATION_COUNTER_HPP_
#define ALLOCATION_COUNTER_HPP_

// Replaces malloc for the whole program, so operator new, Eigen and the C library are all counted. For one source file
// of a program.

#include <cstddef>
#include <cstdlib>

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

/// Allocations made by the calling thread while `function` runs.
template <typename Function>
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

void * malloc(std::size_t size) noexcept
{
  count();
  return __libc_malloc(size);
}

void * calloc(std::size_t number, std::size_t size) noexcept
{
  count();
  return __libc_calloc(number, size);
}

void * realloc(void * memory, std::size_t size) noexcept
{
  count();
  return __libc_realloc(memory, size);
}

void * memalign(std::size_t alignment, std::size_t size) noexcept
{
  count();
  return __libc_memalign(alignment, size);
}

void * aligned_alloc(std::size_t alignment, std::size_t size) noexcept
{
  count();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void ** memory, std::size_t alignment, std::size_t size) noexcept
{
  count();
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? 12 : 0;  // ENOMEM
}

}  // extern "C"

#endif  // ALLOCATION_COUNTER_HPP_
