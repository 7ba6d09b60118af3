// These are the cases of the self-test. Each runs in its own process: a correct
// kernel returns, and a faulty one ends the process with a message that the Go
// test expects.
#pragma once
#include <stdio.h>
#include <stdlib.h>

#include "host/block.h"

#define CHECK(condition)                                                         \
    do {                                                                         \
        if (!(condition)) {                                                      \
            fprintf(stderr, "%s:%d: want %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                             \
        }                                                                        \
    } while (0)

// Case registers a case under its name.
struct Case {
    Case(const char* name, void (*run)()) : name(name), run(run), next(first) { first = this; }
    const char* name;
    void (*run)();
    Case* next;
    inline static Case* first = nullptr;
};
#define CASE(name)                                           \
    static void case_##name();                               \
    static const Case registered_##name(#name, case_##name); \
    static void case_##name()

// run launches one or more blocks of a kernel.
template <typename Args> void run(const char* kernel, const Args& args, unsigned blocks = 1, size_t dynamic = 0) {
    const host::Kernel* k = host::Kernel::find(kernel);
    CHECK(k != nullptr && k->size == sizeof args);
    host::launch(*k, {blocks, 1, 1}, {unsigned(k->threads), 1, 1}, dynamic, &args);
}
