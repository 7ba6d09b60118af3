// Fibers: stacks that one OS thread runs in turn.
#pragma once
#include <stddef.h>

namespace host {

// Fiber is a place to go on from: a stack of its own, or the stack of whoever
// called. A fiber begins in its entry function, which never returns.
class Fiber {
public:
    Fiber() = default;
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    // start gives the fiber its stack. It first runs when go switches to it.
    void start(void (*entry)());
    // go leaves `from`, which is running, and goes on in `to`.
    static void go(Fiber& from, Fiber& to);
    // arrived tells the sanitizer that the running fiber has begun.
    static void arrived();

private:
    void* sp_ = nullptr;
    void* fake_stack_ = nullptr; // the sanitizer's
    const void* bottom_ = nullptr;
    size_t size_ = 0;
};

} // namespace host
