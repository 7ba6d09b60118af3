// What the files of the asynchronous instructions call in each other; see hopper.h.
#pragma once
#include "block.h"

namespace host {
namespace async {

// mbarrier.cpp
void mbarriers_begin();
void mbarriers_end();

// wgmma.cpp
void products_begin();
// products_end fails if the running thread ends before its products are complete.
void products_end();
// in_progress fails if the memory is a part of the running thread's accumulators of a wgmma that it has not waited for.
void in_progress(const void* p, size_t n, uint32_t site);

} // namespace async
} // namespace host
