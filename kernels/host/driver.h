// This is a CUDA driver that needs no card: a libcuda.so.1 whose kernels run in
// block.h.
//
// It guarantees only what the documentation of the driver API promises. The
// work of a stream runs in order, but the time is drawn from the seed: during
// the call, during some later call, or when the host waits. A host that reads a
// result or reuses a pinned buffer too early therefore gets wrong numbers. New
// allocations, and pinned destinations of copies that have not run, are filled
// with 0xFF bytes, which are NaN as floats.
// All entry points take one lock. Names and numbers are those of the ABI.
// Besides LOR2C_HOST_SEED, the library reads these environment variables:
//
//   LOR2C_HOST_DEVICES     cards, default 1; CUDA_VISIBLE_DEVICES chooses among them
//   LOR2C_HOST_MEMORY      bytes of a card, default 4 GiB
//   LOR2C_HOST_CAPABILITY  compute capability, default 86 for 8.6
//   LOR2C_HOST_DRIVER      version of the driver, default 12040
//   LOR2C_HOST_LAUNCHES    a file to which each launch is appended instead of being run
//   LOR2C_HOST_FAIL        "ENTRY NTH CODE,...": the Nth call of an entry point
//                          returns the code; kernel:NAME means runs of a kernel
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "block.h"

#define ENTRY extern "C" __attribute__((visibility("default"))) int

namespace driver {

// Result is a CUresult.
enum Result {
    kSuccess = 0,
    kInvalidValue = 1,
    kOutOfMemory = 2,
    kNotInitialized = 3,
    kNoDevice = 100,
    kInvalidDevice = 101,
    kInvalidContext = 201,
    kNoBinary = 209,
    kEccUncorrectable = 214,
    kInvalidHandle = 400,
    kNotFound = 500,
    kNotReady = 600,
    kIllegalAddress = 700,
    kOutOfResources = 701,
    kLaunchTimeout = 702,
    kLaunchFailed = 719,
    kNotSupported = 801,
    kCaptureUnsupported = 900,
    kCaptureInvalidated = 901,
    kCapturedEvent = 907,
    kUnknown = 999,
};

typedef uint64_t Pointer; // CUdeviceptr
typedef std::function<void()> Work;

struct Graph {
    std::vector<Work> nodes;
};

struct Stream {
    bool blocking = true; // whether it waits for the default stream, and the default stream for it
    int priority = 0;
    std::deque<Work> queue;
    std::unique_ptr<Graph> capture; // set during a capture
    int mode = 0;
    bool invalid = false; // whether the capture failed
};

struct Event {
    uint64_t recorded = 0, done = 0; // numbers of records that were requested and that were reached
    Stream* stream = nullptr;        // stream of the last record
    bool timed = true, captured = false;
    double at = 0; // time of the last record in ms
};

struct Context {
    int device = 0, retained = 0;
    Result error = kSuccess; // the error that made the context unusable
};

struct Device {
    int ordinal;
    std::string uuid; // 16 bytes
    Context context;
    uint64_t used = 0;
};

struct Allocation {
    size_t size;
    Device* device; // null for pinned memory of the host
};

// Function is a kernel of a module.
struct Function {
    const host::Kernel* kernel;
    int dynamic = 48 << 10; // largest dynamic shared memory of a launch, in bytes
};

struct Module {
    std::map<std::string, Function> functions;
};

struct State {
    bool initialized = false;
    uint64_t total = 0;          // bytes per device; 0 until the driver is initialised or a test sets it
    std::vector<Device> devices; // visible devices only
    std::map<uintptr_t, Allocation> memory;
    std::set<std::unique_ptr<Module>> modules;
    std::set<Stream*> streams;
    std::set<Event*> events;
    std::set<Graph*> graphs, execs;
    Stream null; // the default stream
};
extern State& state;

// Call is a call of an entry point that is in progress. If code is not
// kSuccess, the entry point must return it immediately: it is a requested
// error, or the error that made the context unusable.
class Call {
public:
    enum Need { nothing, initialized, context };
    Call(const char* entry, Need need);
    ~Call();
    Call(const Call&) = delete;
    Result code;
    // end returns the error of the work that ran during this call.
    Result end() const;
    Device& device() const { return *device_; }

private:
    Device* device_ = nullptr;
};
#define BEGIN(need)                      \
    ::driver::Call call(__func__, need); \
    if (call.code != ::driver::kSuccess) return call.code
#define ON_STREAM                                      \
    ::driver::Stream* s = ::driver::stream_of(stream); \
    if (s == nullptr) return ::driver::kInvalidHandle

// ran counts a run of a kernel. It returns false if the kernel must fail
// instead of running.
bool ran(const host::Kernel& kernel);

// capability returns the compute capability of the cards, such as 86 for 8.6.
int capability();

// find returns the allocation that contains the n bytes at p, or null.
const Allocation* find(uintptr_t p, size_t n);

// The null handle is the default stream.
Stream* stream_of(void* handle); // null if the handle is invalid
// submit queues work, or records it into a capture.
void submit(Stream& s, Work work);
void drain(Stream& s);
void drain_all();
// settle runs all work that must run before work of the default stream.
void settle();
// unsafe is called before an operation that a global capture forbids. It
// invalidates such captures and reports whether there were any.
bool unsafe();
uint64_t lot();
void seed(uint64_t value);

} // namespace driver
