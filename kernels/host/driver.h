// A CUDA driver without a card: libcuda.so.1 whose kernels run in block.h.
//
// It keeps to what the documentation of the driver API promises and to nothing
// more. Work of a stream runs in order, but when is drawn from the seed: at the
// call, at some later call, or when the host waits. So a host that reads a
// result or reuses a pinned buffer too early gets wrong numbers here.
// Allocations and pinned destinations of copies that have not run hold 0xFF
// bytes: NaN as floats.
//
// All entry points take one lock. The names and numbers are the ABI's. Its
// environment, beside LOR2C_HOST_SEED:
//
//   LOR2C_HOST_DEVICES     cards, default 1; CUDA_VISIBLE_DEVICES chooses among them
//   LOR2C_HOST_MEMORY      bytes of a card, default 4 GiB
//   LOR2C_HOST_CAPABILITY  compute capability, default 86 for 8.6
//   LOR2C_HOST_DRIVER      version of the driver, default 12040
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
    bool blocking = true; // waits for, and holds up, the default stream
    int priority = 0;
    std::deque<Work> queue;
    std::unique_ptr<Graph> capture; // while capturing
    int mode = 0;
    bool invalid = false; // the capture
};

struct Event {
    uint64_t recorded = 0, done = 0; // count the records asked for and run
    Stream* stream = nullptr;        // of the last one
    bool timed = true, captured = false;
    double at = 0; // ms
};

struct Context {
    int device = 0, retained = 0;
    Result error = kSuccess; // what ended it
};

struct Device {
    int ordinal;
    std::string uuid; // 16 bytes
    Context context;
    uint64_t used = 0;
};

struct Allocation {
    size_t size;
    Device* device; // null: pinned memory of the host
};

// Function is a kernel of a module.
struct Function {
    const host::Kernel* kernel;
    int dynamic = 48 << 10; // most that a launch may ask for
};

struct Module {
    std::map<std::string, Function> functions;
};

struct State {
    bool initialized = false;
    uint64_t total;              // bytes of a device
    std::vector<Device> devices; // those that are visible
    std::map<uintptr_t, Allocation> memory;
    std::set<std::unique_ptr<Module>> modules;
    std::set<Stream*> streams;
    std::set<Event*> events;
    std::set<Graph*> graphs, execs;
    Stream null; // the default stream
};
extern State& state;

// Call is an entry point at work. code is what to return at once where it is
// not kSuccess: an error that was asked for, or that ended the context before.
class Call {
public:
    enum Need { nothing, initialized, context };
    Call(const char* entry, Need need);
    ~Call();
    Call(const Call&) = delete;
    Result code;
    // end returns the error of work that ran in this call.
    Result end() const;
    Device& device() const { return *device_; }

private:
    Device* device_ = nullptr;
};
#define BEGIN(need)                                                                                                                        \
    ::driver::Call call(__func__, need);                                                                                                   \
    if (call.code != ::driver::kSuccess) return call.code
#define ON_STREAM                                                                                                                          \
    ::driver::Stream* s = ::driver::stream_of(stream);                                                                                     \
    if (s == nullptr) return ::driver::kInvalidHandle

// ran tells of a kernel that is about to run; false: it fails instead.
bool ran(const host::Kernel& kernel);

// capability is the compute capability that the cards claim, as 86 for 8.6.
int capability();

// find returns the allocation that holds the n bytes at p, or null.
const Allocation* find(uintptr_t p, size_t n);

// Streams. null is the default stream.
Stream* stream_of(void* handle); // null for a handle that is none
// submit queues work, or records it into a capture.
void submit(Stream& s, Work work);
void drain(Stream& s);
void drain_all();
// settle runs what comes before work of the default stream.
void settle();
// unsafe invalidates global captures: the caller does what they forbid.
bool unsafe();
uint64_t lot();
void seed(uint64_t value);

} // namespace driver
