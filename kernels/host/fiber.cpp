#include "fiber.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(LOR2C_HOST_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif

namespace host {

namespace {

// kStack is the size of a stack. It contains the register arrays of a kernel
// and the redzones of the sanitizer.
constexpr size_t kStack = 256 << 10;

// left is the fiber that the last call of go left. The sanitizer's data on the
// left stack is stored there.
Fiber* left;

} // namespace

// lor2c_host_switch saves the registers that the System V ABI of x86-64
// preserves, changes the stack and restores them. swapcontext would make a
// system call for the signal mask at each switch.
extern "C" void lor2c_host_switch(void** from, void* to);
asm(R"(
.text
.type lor2c_host_switch,@function
lor2c_host_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size lor2c_host_switch,.-lor2c_host_switch
)");

void Fiber::start(void (*entry)()) {
    const size_t guard = size_t(sysconf(_SC_PAGESIZE));
    void* memory = mmap(nullptr, kStack + guard, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                        -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, guard, PROT_NONE) != 0) {
        perror("host: stack of a fiber");
        abort();
    }
    bottom_ = static_cast<char*>(memory) + guard;
    size_ = kStack;
    // The stack starts with the registers that lor2c_host_switch pops, then the
    // entry, then its return address.
    uint64_t* top = reinterpret_cast<uint64_t*>(static_cast<char*>(memory) + guard + kStack);
    top[-2] = reinterpret_cast<uint64_t>(entry);
    sp_ = top - 8;
}

void Fiber::arrived() {
#if defined(__SANITIZE_ADDRESS__) || defined(LOR2C_HOST_ASAN)
    // Only the sanitizer knows the caller's stack.
    const void* bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
    left->bottom_ = bottom;
    left->size_ = size;
#endif
}

__attribute__((no_sanitize("address"))) void Fiber::go(Fiber& from, Fiber& to) {
    left = &from;
#if defined(__SANITIZE_ADDRESS__) || defined(LOR2C_HOST_ASAN)
    __sanitizer_start_switch_fiber(&from.fake_stack_, to.bottom_, to.size_);
#endif
    lor2c_host_switch(&from.sp_, to.sp_);
#if defined(__SANITIZE_ADDRESS__) || defined(LOR2C_HOST_ASAN)
    const void* bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(from.fake_stack_, &bottom, &size);
    left->bottom_ = bottom;
    left->size_ = size;
#endif
}

} // namespace host
