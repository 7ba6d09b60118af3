// What tests ask about the barriers and waits of a kernel, by its lines:
//
//   LOR2C_HOST_DROP      "FILE:LINE": a call of __syncthreads, __syncwarp or
//                        cp_async_wait on this line does nothing
//   LOR2C_HOST_COVERAGE  a file to which lines are appended: first "library NAME"
//                        for each kernel that there is, and then for each launch
//                        "kernel NAME" and "reached FILE:LINE" for each such call
#pragma once
#include "block.h"

namespace host {

// passes reports whether the call must do nothing.
bool passes(Place place);
// runs records the launch of a kernel.
void runs(const Kernel& kernel);

} // namespace host
