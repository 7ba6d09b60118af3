// These cases test the driver without a card: what it promises, and that it
// promises no more than a real driver.
#include <string.h>

#include <thread>
#include <vector>

#include "host/cuda.h"
#include "host/driver.h"
#include "host/selftest/selftest.h"

using driver::Pointer;

// These are the entry points as a program declares them.
extern "C" {
int cuInit(unsigned);
int cuDeviceGetCount(int*);
int cuDeviceGetUuid(char*, int);
int cuDevicePrimaryCtxRetain(void**, int);
int cuDevicePrimaryCtxRelease_v2(int);
int cuCtxSetCurrent(void*);
int cuCtxSynchronize();
int cuGetErrorName(int, const char**);
int cuModuleLoadData(void**, const void*);
int cuModuleUnload(void*);
int cuModuleGetFunction(void**, void*, const char*);
int cuFuncGetAttribute(int*, int, void*);
int cuFuncSetAttribute(void*, int, int);
int cuFuncGetParamInfo(void*, size_t, size_t*, size_t*);
int cuLaunchKernel(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
int cuMemAlloc_v2(Pointer*, size_t);
int cuMemFree_v2(Pointer);
int cuMemHostAlloc(void**, size_t, unsigned);
int cuMemFreeHost(void*);
int cuMemGetInfo_v2(size_t*, size_t*);
int cuMemcpyHtoD_v2(Pointer, const void*, size_t);
int cuMemcpyDtoH_v2(void*, Pointer, size_t);
int cuMemcpyHtoDAsync_v2(Pointer, const void*, size_t, void*);
int cuMemcpyDtoHAsync_v2(void*, Pointer, size_t, void*);
int cuMemcpyDtoDAsync_v2(Pointer, Pointer, size_t, void*);
int cuMemcpy2D_v2(const void*);
int cuMemsetD8Async(Pointer, unsigned char, size_t, void*);
int cuMemsetD32_v2(Pointer, unsigned, size_t);
int cuStreamCreate(void**, unsigned);
int cuStreamDestroy_v2(void*);
int cuStreamQuery(void*);
int cuStreamSynchronize(void*);
int cuStreamWaitEvent(void*, void*, unsigned);
int cuStreamBeginCapture_v2(void*, int);
int cuStreamEndCapture(void*, void**);
int cuEventCreate(void**, unsigned);
int cuEventDestroy_v2(void*);
int cuEventRecord(void*, void*);
int cuEventQuery(void*);
int cuEventSynchronize(void*);
int cuEventElapsedTime(float*, void*, void*);
int cuGraphInstantiateWithFlags(void**, void*, unsigned long long);
int cuGraphLaunch(void*, void*);
int cuGraphDestroy(void*);
int cuGraphExecDestroy(void*);
void lor2c_host_fail(const char*, uint64_t, int);
uint64_t lor2c_host_calls(const char*);
void lor2c_host_memory(uint64_t);
void lor2c_host_seed(uint64_t);
void lor2c_host_repair();
}

struct AddArgs {
    int* x;
    int by, unused;
};
KERNEL(add, AddArgs, 32) { a.x[threadIdx.x] += a.by; }

namespace {

// Open is a process that has opened a context and loaded the module.
struct Open {
    void *context, *module, *add, *stream;
    Open() {
        CHECK(cuInit(0) == 0 && cuDevicePrimaryCtxRetain(&context, 0) == 0 && cuCtxSetCurrent(context) == 0);
        CHECK(cuModuleLoadData(&module, "any") == 0 && cuModuleGetFunction(&add, module, "add") == 0);
        CHECK(cuStreamCreate(&stream, 1) == 0);
    }
    int launch(Pointer x, int by, size_t size = sizeof(AddArgs), unsigned block = 32) const {
        AddArgs args{reinterpret_cast<int*>(x), by, 0};
        void* extra[] = {reinterpret_cast<void*>(1), &args, reinterpret_cast<void*>(2), &size, nullptr};
        return cuLaunchKernel(add, 1, 1, 1, block, 1, 1, 0, stream, nullptr, extra);
    }
};

Pointer device_ints(int value) {
    Pointer p;
    std::vector<int> x(32, value);
    CHECK(cuMemAlloc_v2(&p, 128) == 0 && cuMemcpyHtoD_v2(p, x.data(), 128) == 0);
    return p;
}

int first(Pointer p) {
    int x[32];
    CHECK(cuMemcpyDtoH_v2(x, p, 128) == 0);
    for (const int v : x) CHECK(v == x[0]);
    return x[0];
}

// any_seed reports whether f is true for any of 20 seeds, and sets *all to
// whether it is true for all of them.
template <typename F> bool any_seed(F f, bool* all = nullptr) {
    bool any = false, every = true;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        lor2c_host_seed(seed);
        const bool yes = f();
        any |= yes;
        every &= yes;
    }
    if (all != nullptr) *all = every;
    return any;
}

} // namespace

CASE(driver_start) {
    int n;
    void* context;
    CHECK(cuDeviceGetCount(&n) == driver::kNotInitialized);
    CHECK(cuInit(0) == 0 && cuDeviceGetCount(&n) == 0 && n == 1);
    CHECK(cuCtxSynchronize() == driver::kInvalidContext);
    CHECK(cuDevicePrimaryCtxRetain(&context, 1) == driver::kInvalidDevice);
    CHECK(cuDevicePrimaryCtxRetain(&context, 0) == 0 && cuCtxSetCurrent(context) == 0 && cuCtxSynchronize() == 0);
    // Each thread has its own current context.
    std::thread([] { CHECK(cuCtxSynchronize() == driver::kInvalidContext); }).join();
    CHECK(cuDevicePrimaryCtxRelease_v2(0) == 0 && cuCtxSynchronize() == driver::kInvalidContext);
    const char* name;
    CHECK(cuGetErrorName(700, &name) == 0 && strcmp(name, "CUDA_ERROR_ILLEGAL_ADDRESS") == 0 &&
          cuGetErrorName(12345, &name) == 1);
}

CASE(driver_visible) {
    // LOR2C_HOST_DEVICES=3, CUDA_VISIBLE_DEVICES=2,GPU-...01,7,0
    int n;
    char id[16];
    CHECK(cuInit(0) == 0 && cuDeviceGetCount(&n) == 0 && n == 2);
    CHECK(cuDeviceGetUuid(id, 0) == 0 && id[15] == 2 && cuDeviceGetUuid(id, 1) == 0 && id[15] == 1);
}

CASE(driver_no_device) {
    // LOR2C_HOST_DEVICES=0
    int n;
    CHECK(cuInit(0) == driver::kNoDevice && cuDeviceGetCount(&n) == driver::kNotInitialized);
}

CASE(driver_memory) {
    const Open o;
    Pointer p, q;
    void* pinned;
    size_t unused, total;
    lor2c_host_memory(1000);
    CHECK(cuMemAlloc_v2(&p, 600) == 0 && cuMemAlloc_v2(&q, 401) == driver::kOutOfMemory &&
          cuMemAlloc_v2(&q, 0) == driver::kInvalidValue);
    CHECK(cuMemGetInfo_v2(&unused, &total) == 0 && unused == 400 && total == 1000);
    unsigned char got[600];
    CHECK(cuMemcpyDtoH_v2(got, p, 600) == 0 && got[0] == 0xFF && got[599] == 0xFF);
    CHECK(cuMemcpyDtoH_v2(got, p + 1, 600) == driver::kInvalidValue &&
          cuMemsetD32_v2(p + 596, 0, 2) == driver::kInvalidValue);
    CHECK(cuMemsetD32_v2(p + 596, 0x01020304, 1) == 0 && cuMemcpyDtoH_v2(got, p + 592, 8) == 0 && got[3] == 0xFF &&
          got[4] == 4 && got[7] == 1);
    CHECK(cuMemHostAlloc(&pinned, 10, 0) == 0 && cuMemFree_v2(Pointer(pinned)) == driver::kInvalidValue &&
          cuMemFreeHost(pinned) == 0);
    CHECK(cuMemFree_v2(p + 1) == driver::kInvalidValue && cuMemFree_v2(p) == 0 &&
          cuMemFree_v2(p) == driver::kInvalidValue);
    CHECK(cuMemGetInfo_v2(&unused, &total) == 0 && unused == 1000);
}

CASE(driver_copy_2d) {
    const Open o;
    Pointer p;
    CHECK(cuMemAlloc_v2(&p, 64) == 0 && cuMemsetD32_v2(p, 0, 16) == 0);
    unsigned char from[6] = {1, 2, 3, 4, 5, 6}, got[64];
    // CUDA_MEMCPY2D: rows of 2 bytes, 3 apart at the source, 16 apart from column 4 of row 1 on.
    struct {
        size_t from_x, from_y;
        int from_kind;
        const void* host;
        Pointer from_device;
        void* from_array;
        size_t from_pitch, to_x, to_y;
        int to_kind;
        void* to_host;
        Pointer to_device;
        void* to_array;
        size_t to_pitch, width, height;
    } c = {0, 0, 1, from, 0, nullptr, 3, 4, 1, 2, nullptr, p, nullptr, 16, 2, 2};
    CHECK(cuMemcpy2D_v2(&c) == 0 && cuMemcpyDtoH_v2(got, p, 64) == 0);
    for (int i = 0; i < 64; i++) CHECK(got[i] == (i == 20 ? 1 : i == 21 ? 2 : i == 36 ? 4 : i == 37 ? 5 : 0));
    c.height = 4;
    CHECK(cuMemcpy2D_v2(&c) == driver::kInvalidValue);
}

CASE(driver_functions) {
    const Open o;
    void* f;
    int value;
    size_t offset, size;
    CHECK(cuModuleGetFunction(&f, o.module, "no such kernel") == driver::kNotFound);
    CHECK(cuFuncGetAttribute(&value, 0, o.add) == 0 && value == 32);
    CHECK(cuFuncGetParamInfo(o.add, 0, &offset, &size) == 0 && offset == 0 && size == sizeof(AddArgs));
    CHECK(cuFuncGetParamInfo(o.add, 1, &offset, &size) == driver::kInvalidValue);
    CHECK(cuFuncSetAttribute(o.add, 8, 99 << 10) == 0 &&
          cuFuncSetAttribute(o.add, 8, (99 << 10) + 1) == driver::kInvalidValue);
    CHECK(cuFuncGetAttribute(&value, 8, o.add) == 0 && value == 99 << 10);
    CHECK(cuModuleUnload(o.module) == 0 && cuFuncGetAttribute(&value, 0, o.add) == driver::kInvalidHandle &&
          cuModuleUnload(o.module) == driver::kInvalidHandle);
}

CASE(driver_launch) {
    const Open o;
    const Pointer x = device_ints(5);
    CHECK(o.launch(x, 2) == 0 && cuStreamSynchronize(o.stream) == 0 && first(x) == 7);
    CHECK(o.launch(x, 2, sizeof(AddArgs) - 8) == driver::kInvalidValue &&
          o.launch(x, 2, sizeof(AddArgs), 64) == driver::kInvalidValue);
    CHECK(lor2c_host_calls("kernel:add") == 1 && lor2c_host_calls("cuLaunchKernel") == 3);
}

// A host that does not wait sees the old content for some seeds. A host that
// waits never does.
CASE(driver_late) {
    const Open o;
    int* pinned;
    CHECK(cuMemHostAlloc(reinterpret_cast<void**>(&pinned), 128, 0) == 0);
    const Pointer x = device_ints(0);
    const auto read = [&](bool wait) {
        CHECK(cuMemsetD8Async(x, 0, 128, o.stream) == 0 && o.launch(x, 3) == 0 &&
              cuMemcpyDtoHAsync_v2(pinned, x, 128, o.stream) == 0);
        if (wait) CHECK(cuStreamSynchronize(o.stream) == 0);
        const bool right = pinned[0] == 3 && pinned[31] == 3;
        CHECK(cuStreamSynchronize(o.stream) == 0 && pinned[31] == 3);
        return right;
    };
    bool all;
    CHECK(any_seed([&] { return read(false); }, &all) && !all);
    any_seed([&] { return read(true); }, &all);
    CHECK(all);
    // The pinned source is reused before the copy has run.
    const auto reuse = [&](bool wait) {
        for (int i = 0; i < 32; i++) pinned[i] = 1;
        CHECK(cuMemcpyHtoDAsync_v2(x, pinned, 128, o.stream) == 0);
        if (wait) CHECK(cuStreamSynchronize(o.stream) == 0);
        for (int i = 0; i < 32; i++) pinned[i] = 2;
        CHECK(cuStreamSynchronize(o.stream) == 0);
        return first(x) == 1;
    };
    CHECK(any_seed([&] { return reuse(false); }, &all) && !all);
    any_seed([&] { return reuse(true); }, &all);
    CHECK(all);
    // A copy from pageable memory has read the source when the call returns,
    // and a copy to it has written the destination.
    any_seed([&] {
        int page[32] = {4};
        std::fill(page, page + 32, 4);
        CHECK(cuMemcpyHtoDAsync_v2(x, page, 128, o.stream) == 0);
        std::fill(page, page + 32, 5);
        CHECK(cuMemcpyDtoHAsync_v2(page, x, 128, o.stream) == 0);
        return page[0] == 4 && page[31] == 4;
    }, &all);
    CHECK(all);
}

CASE(driver_events) {
    const Open o;
    void *other, *start, *stop;
    CHECK(cuStreamCreate(&other, 1) == 0 && cuEventCreate(&start, 0) == 0 && cuEventCreate(&stop, 0) == 0);
    const Pointer x = device_ints(0), y = device_ints(0);
    // One stream computes y = x after another stream has written x.
    const auto pass = [&](bool wait) {
        CHECK(cuMemsetD8Async(x, 0, 128, o.stream) == 0 && cuStreamSynchronize(o.stream) == 0);
        CHECK(cuEventRecord(start, o.stream) == 0 && o.launch(x, 3) == 0 && cuEventRecord(stop, o.stream) == 0);
        if (wait) CHECK(cuStreamWaitEvent(other, stop, 0) == 0);
        CHECK(cuMemcpyDtoDAsync_v2(y, x, 128, other) == 0 && cuStreamSynchronize(other) == 0);
        const bool right = first(y) == 3;
        CHECK(cuEventSynchronize(stop) == 0 && first(x) == 3);
        float ms;
        CHECK(cuEventElapsedTime(&ms, start, stop) == 0 && ms >= 0);
        return right;
    };
    bool all;
    CHECK(any_seed([&] { return pass(false); }, &all) && !all);
    any_seed([&] { return pass(true); }, &all);
    CHECK(all);
    // Each query may let some work run; in the end all of it is done.
    const auto not_ready = [&] {
        bool late = false;
        CHECK(o.launch(x, 1) == 0 && cuEventRecord(stop, o.stream) == 0);
        for (int r; (r = cuEventQuery(stop)) != 0; late = true) CHECK(r == driver::kNotReady);
        return late;
    };
    CHECK(any_seed(not_ready));
    CHECK(cuStreamDestroy_v2(other) == 0 && cuStreamQuery(other) == driver::kInvalidHandle);
    CHECK(cuEventDestroy_v2(start) == 0 && cuEventQuery(start) == driver::kInvalidHandle);
}

CASE(driver_graphs) {
    const Open o;
    void *graph, *exec, *event;
    int* pinned;
    CHECK(cuMemHostAlloc(reinterpret_cast<void**>(&pinned), 128, 0) == 0 && cuEventCreate(&event, 0) == 0);
    const Pointer x = device_ints(0);
    CHECK(cuStreamBeginCapture_v2(o.stream, 2) == 0);
    for (int by = 1; by <= 3; by++) CHECK(o.launch(x, by) == 0);
    CHECK(cuMemcpyDtoHAsync_v2(pinned, x, 128, o.stream) == 0);
    CHECK(cuStreamEndCapture(o.stream, &graph) == 0 && first(x) == 0);
    CHECK(cuGraphInstantiateWithFlags(&exec, graph, 0) == 0 && cuGraphDestroy(graph) == 0 &&
          cuGraphDestroy(graph) == driver::kInvalidHandle);
    for (int i = 1; i <= 3; i++) CHECK(cuGraphLaunch(exec, o.stream) == 0);
    CHECK(cuStreamSynchronize(o.stream) == 0 && first(x) == 18 && pinned[7] == 18);
    // Launched work runs even if its graph was destroyed.
    CHECK(cuGraphLaunch(exec, o.stream) == 0 && cuGraphExecDestroy(exec) == 0 && cuStreamSynchronize(o.stream) == 0 &&
          first(x) == 24);
    CHECK(cuGraphLaunch(exec, o.stream) == driver::kInvalidHandle);

    // These operations are forbidden during a capture, depending on its mode: 0
    // global, 2 relaxed.
    for (const int mode : {0, 2}) {
        Pointer p;
        int page[32];
        CHECK(cuStreamBeginCapture_v2(o.stream, mode) == 0);
        CHECK(cuMemAlloc_v2(&p, 8) == (mode == 0 ? driver::kCaptureUnsupported : 0));
        CHECK(cuStreamEndCapture(o.stream, &graph) == (mode == 0 ? driver::kCaptureInvalidated : 0));
        CHECK(cuStreamBeginCapture_v2(o.stream, mode) == 0 &&
              cuStreamSynchronize(o.stream) == driver::kCaptureUnsupported);
        CHECK(cuStreamEndCapture(o.stream, &graph) == driver::kCaptureInvalidated);
        CHECK(cuStreamBeginCapture_v2(o.stream, mode) == 0 &&
              cuMemcpyDtoHAsync_v2(page, x, 128, o.stream) == driver::kCaptureUnsupported);
        CHECK(cuStreamEndCapture(o.stream, &graph) == driver::kCaptureInvalidated);
        CHECK(cuStreamBeginCapture_v2(o.stream, mode) == 0 && cuEventRecord(event, o.stream) == 0);
        CHECK(cuStreamEndCapture(o.stream, &graph) == 0 && cuEventQuery(event) == driver::kCapturedEvent);
    }
}

CASE(driver_faults) {
    const Open o;
    Pointer p;
    const Pointer x = device_ints(0);
    lor2c_host_fail("cuMemAlloc_v2", 2, 2);
    CHECK(cuMemAlloc_v2(&p, 8) == 0 && cuMemAlloc_v2(&p, 8) == driver::kOutOfMemory && cuMemAlloc_v2(&p, 8) == 0);
    // The second launch of the kernel succeeds, but its run fails and makes the
    // context unusable.
    lor2c_host_fail("kernel:add", 2, 700);
    CHECK(o.launch(x, 1) == 0 && cuStreamSynchronize(o.stream) == 0);
    const int queued = o.launch(x, 1);
    CHECK(queued == 0 || queued == 700);
    CHECK(cuStreamSynchronize(o.stream) == 700 && cuMemAlloc_v2(&p, 8) == 700 && o.launch(x, 1) == 700);
    lor2c_host_repair();
    CHECK(o.launch(x, 1) == 0 && cuStreamSynchronize(o.stream) == 0 && first(x) == 2);
    lor2c_host_fail("cuStreamSynchronize", 1, 214);
    CHECK(cuStreamSynchronize(o.stream) == driver::kEccUncorrectable &&
          cuCtxSynchronize() == driver::kEccUncorrectable);
    lor2c_host_repair();
    CHECK(cuCtxSynchronize() == 0);
}

CASE(driver_fault_by_environment) {
    // LOR2C_HOST_FAIL="cuInit 1 100,cuDeviceGetCount 2 999"
    int n;
    CHECK(cuInit(0) == driver::kNoDevice && cuInit(0) == 0);
    CHECK(cuDeviceGetCount(&n) == 0 && cuDeviceGetCount(&n) == driver::kUnknown && cuDeviceGetCount(&n) == 0);
}
