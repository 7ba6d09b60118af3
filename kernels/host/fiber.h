// Fibers are stacks that one OS thread runs in turn.
#pragma once
#include <stddef.h>

namespace host {

// Fiber is a stack with a point at which to continue: a new stack, or the stack
// of the caller. A new fiber starts with its entry function, which never
// returns.
class Fiber {
public:
    Fiber() = default;
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    // start allocates the stack. The fiber first runs when go switches to it.
    void start(void (*entry)());
    // go leaves `from`, the running fiber, and continues in `to`.
    static void go(Fiber& from, Fiber& to);
    // arrived tells the sanitizer that the running fiber has started.
    static void arrived();
    // owns reports whether an address is on the stack.
    bool owns(const void* p) const {
        return static_cast<const char*>(p) - static_cast<const char*>(bottom_) >= 0 &&
               size_t(static_cast<const char*>(p) - static_cast<const char*>(bottom_)) < size_;
    }

private:
    void* sp_ = nullptr;
    void* fake_stack_ = nullptr; // of the sanitizer
    const void* bottom_ = nullptr;
    size_t size_ = 0;
};

} // namespace host
