// This file implements modules, functions and launches.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

using namespace driver;

// load ignores the bytes of the module, because its kernels are in this
// library.
static int load(void** module, const void* image) {
    if (image == nullptr) return kInvalidValue;
    std::unique_ptr<Module> m(new Module);
    for (const host::Kernel* k = host::Kernel::first(); k != nullptr; k = k->next)
        if (!k->hopper || capability() == 90) m->functions[k->name].kernel = k;
    *module = m.get();
    state.modules.insert(std::move(m));
    return kSuccess;
}

ENTRY cuModuleLoadData(void** module, const void* image) {
    BEGIN(Call::context);
    return unsafe() ? kCaptureUnsupported : load(module, image);
}

ENTRY cuModuleLoadDataEx(void** module, const void* image, unsigned, int*, void**) {
    BEGIN(Call::context);
    return unsafe() ? kCaptureUnsupported : load(module, image);
}

ENTRY cuModuleLoadFatBinary(void** module, const void* image) {
    BEGIN(Call::context);
    return unsafe() ? kCaptureUnsupported : load(module, image);
}

ENTRY cuModuleUnload(void* module) {
    BEGIN(Call::context);
    drain_all();
    for (auto m = state.modules.begin(); m != state.modules.end(); ++m)
        if (m->get() == module) return state.modules.erase(m), call.end();
    return kInvalidHandle;
}

ENTRY cuModuleGetFunction(void** function, void* module, const char* name) {
    BEGIN(Call::context);
    for (const auto& m : state.modules) {
        if (m.get() != module) continue;
        const auto f = m->functions.find(name);
        if (f == m->functions.end()) return kNotFound;
        *function = &f->second;
        return kSuccess;
    }
    return kInvalidHandle;
}

static Function* function_of(void* handle) {
    for (const auto& m : state.modules)
        for (auto& f : m->functions)
            if (&f.second == handle) return &f.second;
    return nullptr;
}

enum { kMaxThreads = 0, kRegisters = 4, kPtxVersion = 5, kBinaryVersion = 6, kMaxDynamicShared = 8, kCarveout = 9 };
static int most_dynamic() { return capability() == 90 ? 227 << 10 : 99 << 10; }

ENTRY cuFuncGetAttribute(int* value, int attribute, void* function) {
    BEGIN(Call::context);
    const Function* f = function_of(function);
    if (f == nullptr) return kInvalidHandle;
    switch (attribute) {
    case kMaxThreads: *value = f->kernel->threads; break;
    case kRegisters: *value = 32; break; // fibers do not count registers
    case kPtxVersion: *value = 80; break;
    case kBinaryVersion: *value = capability(); break;
    case kMaxDynamicShared: *value = f->dynamic; break;
    default: *value = 0;
    }
    return kSuccess;
}

ENTRY cuFuncSetAttribute(void* function, int attribute, int value) {
    BEGIN(Call::context);
    Function* f = function_of(function);
    if (f == nullptr) return kInvalidHandle;
    if (attribute == kCarveout) return kSuccess;
    if (attribute != kMaxDynamicShared || value < 0 || value > most_dynamic()) return kInvalidValue;
    f->dynamic = value;
    return kSuccess;
}

ENTRY cuFuncSetCacheConfig(void* function, int) {
    BEGIN(Call::context);
    return function_of(function) != nullptr ? kSuccess : kInvalidHandle;
}

ENTRY cuFuncGetParamInfo(void* function, size_t index, size_t* offset, size_t* size) {
    BEGIN(Call::context);
    const Function* f = function_of(function);
    if (f == nullptr) return kInvalidHandle;
    if (index != 0) return kInvalidValue;
    *offset = 0;
    if (size != nullptr) *size = f->kernel->size;
    return kSuccess;
}

// argument returns the argument of a launch: a block of bytes in extra, or the
// struct in params. It returns null if the size is not that of the kernel's
// argument.
static const void* argument(const host::Kernel& k, void** params, void** extra) {
    if (params != nullptr) return params[0];
    const void* block = nullptr;
    size_t size = 0;
    for (; extra != nullptr && *extra != nullptr; extra += 2) {
        if (*extra == reinterpret_cast<void*>(1)) block = extra[1];
        if (*extra == reinterpret_cast<void*>(2)) size = *static_cast<const size_t*>(extra[1]);
    }
    if (block != nullptr && size == k.size) return block;
    fprintf(stderr, "host: launch of %s with %zu bytes of arguments; it takes %zu\n", k.name, size, k.size);
    return nullptr;
}

// With LOR2C_HOST_LAUNCHES a launch is a line of that file, and does not run.
static const char* const launches = getenv("LOR2C_HOST_LAUNCHES");

static void list(const host::Kernel& k, host::Index grid, unsigned dynamic) {
    FILE* f = fopen(launches, "a");
    if (f == nullptr || fprintf(f, "%s,%u,%u,%u,%d,%u\n", k.name, grid.x, grid.y, grid.z, k.threads, dynamic) < 0 ||
        fclose(f) != 0) {
        perror(launches);
        abort();
    }
}

ENTRY cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                     unsigned dynamic,
                     void* stream, void** params, void** extra) {
    BEGIN(Call::context);
    const Function* f = function_of(function);
    Stream* s = stream_of(stream);
    if (f == nullptr || s == nullptr) return kInvalidHandle;
    const host::Kernel& k = *f->kernel;
    if (gx == 0 || gy == 0 || gz == 0 || gx > 2147483647u || gy > 65535 || gz > 65535) return kInvalidValue;
    if (uint64_t(bx) * by * bz != uint64_t(k.threads)) {
        fprintf(stderr, "host: launch of %s with %ux%ux%u threads per block; it is declared with %d\n", k.name, bx, by,
                bz, k.threads);
        return kInvalidValue;
    }
    if (dynamic > unsigned(f->dynamic)) return kInvalidValue;
    const void* args = argument(k, params, extra);
    if (args == nullptr) return kInvalidValue;
    std::vector<uint64_t> copy(k.size / 8);
    memcpy(copy.data(), args, k.size);
    submit(*s, [&k, gx, gy, gz, bx, by, bz, dynamic, copy] {
        if (!ran(k)) return;
        if (launches != nullptr) return list(k, {gx, gy, gz}, dynamic);
        host::launch(k, {gx, gy, gz}, {bx, by, bz}, dynamic, copy.data());
    });
    return call.end();
}
