// This file implements device memory, pinned memory, copies and fills.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>

#include "driver.h"

using namespace driver;

const Allocation* driver::find(uintptr_t p, size_t n) {
    auto a = state.memory.upper_bound(p);
    if (a == state.memory.begin()) return nullptr;
    --a;
    return p - a->first <= a->second.size && n <= a->second.size - (p - a->first) ? &a->second : nullptr;
}

// dry is set if no kernel runs. Nothing reads the memory then, so a large model takes none.
static const bool dry = getenv("LOR2C_HOST_LAUNCHES") != nullptr;

// allocate returns memory of exactly n bytes, so that the sanitizer reports any
// access beyond them.
static void* allocate(size_t n, Device* device) {
    void* p = nullptr;
    if (dry) {
        p = mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) return nullptr;
    } else {
        if (posix_memalign(&p, 256, n) != 0) return nullptr;
        memset(p, 0xFF, n);
    }
    state.memory[uintptr_t(p)] = Allocation{n, device};
    return p;
}

ENTRY cuMemAlloc_v2(Pointer* p, size_t n) {
    BEGIN(Call::context);
    if (unsafe()) return kCaptureUnsupported;
    if (n == 0) return kInvalidValue;
    Device& d = call.device();
    if (n > state.total || d.used > state.total - n) return kOutOfMemory;
    void* memory = allocate(n, &d);
    if (memory == nullptr) return kOutOfMemory;
    d.used += n;
    *p = Pointer(memory);
    return kSuccess;
}

static int release(uintptr_t p, bool pinned) {
    const auto a = state.memory.find(p);
    if (a == state.memory.end() || (a->second.device == nullptr) != pinned) return kInvalidValue;
    drain_all();
    if (a->second.device != nullptr) a->second.device->used -= a->second.size;
    const size_t size = a->second.size;
    state.memory.erase(a);
    dry ? (void)munmap(reinterpret_cast<void*>(p), size) : free(reinterpret_cast<void*>(p));
    return kSuccess;
}

ENTRY cuMemFree_v2(Pointer p) {
    BEGIN(Call::context);
    if (unsafe()) return kCaptureUnsupported;
    return p == 0 ? kSuccess : release(p, false);
}

ENTRY cuMemHostAlloc(void** p, size_t n, unsigned) {
    BEGIN(Call::context);
    if (unsafe()) return kCaptureUnsupported;
    if (n == 0) return kInvalidValue;
    *p = allocate(n, nullptr);
    return *p == nullptr ? kOutOfMemory : kSuccess;
}

ENTRY cuMemFreeHost(void* p) {
    BEGIN(Call::context);
    return unsafe() ? kCaptureUnsupported : release(uintptr_t(p), true);
}

ENTRY cuMemGetInfo_v2(size_t* unused, size_t* total) {
    BEGIN(Call::context);
    *total = state.total;
    *unused = state.total - (call.device().used < state.total ? call.device().used : state.total);
    return kSuccess;
}

ENTRY cuMemGetAddressRange_v2(Pointer* base, size_t* size, Pointer p) {
    BEGIN(Call::context);
    const Allocation* a = find(p, 1);
    if (a == nullptr) return kInvalidValue;
    if (base != nullptr) *base = (--state.memory.upper_bound(p))->first;
    if (size != nullptr) *size = a->size;
    return kSuccess;
}

// ---- copies ---------------------------------------------------------------------

// Plane is a sequence of rows, with pitch bytes from one row to the next.
struct Plane {
    uintptr_t at;
    size_t pitch;
    bool device;
};

static size_t span(const Plane& p, size_t width, size_t height) {
    return height == 0 ? 0 : (height - 1) * p.pitch + width;
}

// reachable reports whether a plane on a device is allocated completely.
static bool reachable(const Plane& p, size_t width, size_t height) {
    if (!p.device) return true;
    const Allocation* a = find(p.at, span(p, width, height));
    return a != nullptr && a->device != nullptr;
}

static void move(const Plane& to, const Plane& from, size_t width, size_t height) {
    for (size_t row = 0; row < height; row++)
        memmove(reinterpret_cast<void*>(to.at + row * to.pitch),
                reinterpret_cast<const void*>(from.at + row * from.pitch), width);
}

// copy implements all copies. If stream is null, it returns when the copy is
// done.
static int copy(const Call& call, Plane to, Plane from, size_t width, size_t height, Stream* stream) {
    if (to.pitch < width || from.pitch < width) return kInvalidValue;
    if (!reachable(to, width, height) || !reachable(from, width, height)) return kInvalidValue;
    if (width == 0 || height == 0) return kSuccess;
    if (stream == nullptr) {
        if (unsafe()) return kCaptureUnsupported;
        settle();
        if (call.end() == kSuccess) move(to, from, width, height);
        return call.end();
    }
    const auto pageable = [&](const Plane& p) { return !p.device && find(p.at, span(p, width, height)) == nullptr; };
    if (stream->capture != nullptr && (pageable(to) || pageable(from))) {
        stream->invalid = true;
        return kCaptureUnsupported;
    }
    if (pageable(to)) {
        // A copy to pageable memory returns when it is done.
        drain(*stream);
        if (call.end() == kSuccess) move(to, from, width, height);
        return call.end();
    }
    if (pageable(from)) {
        // A copy from pageable memory returns when the source has been read.
        auto staged = std::make_shared<std::vector<unsigned char>>(width * height);
        move({uintptr_t(staged->data()), width, false}, from, width, height);
        submit(*stream, [=] { move(to, {uintptr_t(staged->data()), width, false}, width, height); });
        return call.end();
    }
    if (!to.device && stream->capture == nullptr)
        for (size_t row = 0; row < height; row++) memset(reinterpret_cast<void*>(to.at + row * to.pitch), 0xFF, width);
    submit(*stream, [=] { move(to, from, width, height); });
    return call.end();
}

static Plane line(uintptr_t p, size_t n, bool device) { return {p, n, device}; }

ENTRY cuMemcpyHtoD_v2(Pointer to, const void* from, size_t n) {
    BEGIN(Call::context);
    return copy(call, line(to, n, true), line(uintptr_t(from), n, false), n, 1, nullptr);
}

ENTRY cuMemcpyDtoH_v2(void* to, Pointer from, size_t n) {
    BEGIN(Call::context);
    return copy(call, line(uintptr_t(to), n, false), line(from, n, true), n, 1, nullptr);
}

ENTRY cuMemcpyDtoD_v2(Pointer to, Pointer from, size_t n) {
    BEGIN(Call::context);
    return copy(call, line(to, n, true), line(from, n, true), n, 1, nullptr);
}

ENTRY cuMemcpyHtoDAsync_v2(Pointer to, const void* from, size_t n, void* stream) {
    BEGIN(Call::context);
    ON_STREAM;
    return copy(call, line(to, n, true), line(uintptr_t(from), n, false), n, 1, s);
}

ENTRY cuMemcpyDtoHAsync_v2(void* to, Pointer from, size_t n, void* stream) {
    BEGIN(Call::context);
    ON_STREAM;
    return copy(call, line(uintptr_t(to), n, false), line(from, n, true), n, 1, s);
}

ENTRY cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t n, void* stream) {
    BEGIN(Call::context);
    ON_STREAM;
    return copy(call, line(to, n, true), line(from, n, true), n, 1, s);
}

// Copy2D is CUDA_MEMCPY2D.
struct Copy2D {
    size_t from_x, from_y;
    int from_kind; // 1 host, 2 device
    const void* from_host;
    Pointer from_device;
    void* from_array;
    size_t from_pitch;
    size_t to_x, to_y;
    int to_kind;
    void* to_host;
    Pointer to_device;
    void* to_array;
    size_t to_pitch;
    size_t width, height;
};

static int copy2d(const Call& call, const Copy2D& c, Stream* stream) {
    const bool kinds = (c.from_kind == 1 || c.from_kind == 2) && (c.to_kind == 1 || c.to_kind == 2);
    if (!kinds) return kInvalidValue;
    const uintptr_t from = c.from_kind == 2 ? c.from_device : uintptr_t(c.from_host);
    const uintptr_t to = c.to_kind == 2 ? c.to_device : uintptr_t(c.to_host);
    const size_t from_pitch = c.from_pitch != 0 ? c.from_pitch : c.width;
    const size_t to_pitch = c.to_pitch != 0 ? c.to_pitch : c.width;
    return copy(call, {to + c.to_y * to_pitch + c.to_x, to_pitch, c.to_kind == 2},
                {from + c.from_y * from_pitch + c.from_x, from_pitch, c.from_kind == 2}, c.width, c.height, stream);
}

ENTRY cuMemcpy2D_v2(const Copy2D* c) {
    BEGIN(Call::context);
    return copy2d(call, *c, nullptr);
}

ENTRY cuMemcpy2DUnaligned_v2(const Copy2D* c) {
    BEGIN(Call::context);
    return copy2d(call, *c, nullptr);
}

ENTRY cuMemcpy2DAsync_v2(const Copy2D* c, void* stream) {
    BEGIN(Call::context);
    ON_STREAM;
    return copy2d(call, *c, s);
}

// ---- fills -----------------------------------------------------------------------

// No form of a fill of device memory makes the host wait.
template <typename T> static int fill(const Call& call, Pointer to, T value, size_t n, Stream& s) {
    if (to % sizeof(T) != 0 || n > SIZE_MAX / sizeof(T)) return kInvalidValue;
    if (!reachable(line(to, n * sizeof(T), true), n * sizeof(T), 1)) return kInvalidValue;
    if (dry) return call.end();
    submit(s, [=] {
        T* p = reinterpret_cast<T*>(to);
        std::fill(p, p + n, value);
    });
    return call.end();
}

ENTRY cuMemsetD8_v2(Pointer to, unsigned char value, size_t n) {
    BEGIN(Call::context);
    return fill(call, to, value, n, state.null);
}

ENTRY cuMemsetD16_v2(Pointer to, unsigned short value, size_t n) {
    BEGIN(Call::context);
    return fill(call, to, value, n, state.null);
}

ENTRY cuMemsetD32_v2(Pointer to, unsigned value, size_t n) {
    BEGIN(Call::context);
    return fill(call, to, value, n, state.null);
}

ENTRY cuMemsetD8Async(Pointer to, unsigned char value, size_t n, void* stream) {
    BEGIN(Call::context);
    ON_STREAM;
    return fill(call, to, value, n, *s);
}

ENTRY cuMemsetD16Async(Pointer to, unsigned short value, size_t n, void* stream) {
    BEGIN(Call::context);
    ON_STREAM;
    return fill(call, to, value, n, *s);
}

ENTRY cuMemsetD32Async(Pointer to, unsigned value, size_t n, void* stream) {
    BEGIN(Call::context);
    ON_STREAM;
    return fill(call, to, value, n, *s);
}
