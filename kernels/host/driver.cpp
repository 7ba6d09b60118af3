// This file implements calls, faults that tests request, devices and contexts.
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mutex>

namespace driver {

// These objects are never destroyed, because the process may end while another
// thread is in a call.
State& state = *new State;

namespace {

std::recursive_mutex& lock = *new std::recursive_mutex;
std::map<std::string, uint64_t>& calls = *new std::map<std::string, uint64_t>;

// Fault is an error that a test requests: the nth call from now of an entry
// point, or the nth run of "kernel:NAME", fails with the code.
struct Fault {
    uint64_t countdown;
    Result code;
};
std::map<std::string, Fault>& faults = *new std::map<std::string, Fault>;

thread_local int current = -1; // index of the device of the current context

// ends reports whether an error makes the context unusable.
bool ends(Result r) {
    return r == kEccUncorrectable || r == kUnknown ||
           (r >= kIllegalAddress && r != kOutOfResources && r <= kLaunchFailed);
}

Result fault(const std::string& name) {
    calls[name]++;
    const auto f = faults.find(name);
    if (f == faults.end() || --f->second.countdown > 0) return kSuccess;
    const Result code = f->second.code;
    faults.erase(f);
    return code;
}

uint64_t setting(const char* name, uint64_t otherwise) {
    const char* v = getenv(name);
    return v != nullptr && *v != 0 ? strtoull(v, nullptr, 10) : otherwise;
}

// ask reads a list of faults, "ENTRY NTH CODE,ENTRY NTH CODE".
void ask(const char* list) {
    char entry[128];
    unsigned long long nth;
    int code, used;
    while (list != nullptr && sscanf(list, " %127s %llu %d%n", entry, &nth, &code, &used) == 3) {
        faults[entry] = Fault{nth, Result(code)};
        list += used;
        list += *list == ',';
    }
}

std::string uuid(int ordinal) {
    std::string id(16, '\x5a');
    id[15] = char(ordinal);
    return id;
}

std::string hex_uuid(int ordinal) {
    std::string text = "GPU-";
    const std::string id = uuid(ordinal);
    for (int i = 0; i < 16; i++) {
        char two[3];
        snprintf(two, sizeof two, "%02x", (unsigned char)id[i]);
        text += two;
        if (i == 3 || i == 5 || i == 7 || i == 9) text += '-';
    }
    return text;
}

// visible applies CUDA_VISIBLE_DEVICES, a list of indices or UUID prefixes. The
// first element that names no card ends the list.
std::vector<int> visible(int count) {
    std::vector<int> shown;
    const char* list = getenv("CUDA_VISIBLE_DEVICES");
    if (list == nullptr) {
        for (int i = 0; i < count; i++) shown.push_back(i);
        return shown;
    }
    for (std::string rest = list; !rest.empty();) {
        const size_t comma = rest.find(',');
        const std::string name = rest.substr(0, comma);
        rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
        int found = -1;
        for (int i = 0; i < count; i++) {
            const bool is_uuid = name.size() > 4 && hex_uuid(i).compare(0, name.size(), name) == 0;
            if (is_uuid || name == std::to_string(i)) found = i;
        }
        if (found < 0) break;
        shown.push_back(found);
    }
    return shown;
}

} // namespace

Call::Call(const char* entry, Need need) {
    lock.lock();
    code = fault(entry);
    if (code == kSuccess && need != nothing && !state.initialized) code = kNotInitialized;
    if (need == context && code != kNotInitialized) {
        if (current >= 0) device_ = &state.devices[current];
        if (device_ == nullptr || device_->context.retained == 0) {
            if (code == kSuccess) code = kInvalidContext;
            return;
        }
        Context& c = device_->context;
        if (ends(code)) c.error = code;
        if (c.error != kSuccess) code = c.error;
    }
}

Call::~Call() { lock.unlock(); }

Result Call::end() const { return device_ == nullptr ? kSuccess : device_->context.error; }

bool ran(const host::Kernel& kernel) {
    const Result r = fault(std::string("kernel:") + kernel.name);
    if (r == kSuccess) return true;
    for (Device& d : state.devices) d.context.error = r;
    return false;
}

int capability() { return int(setting("LOR2C_HOST_CAPABILITY", 86)); }

} // namespace driver

using namespace driver;

// ---- for tests -----------------------------------------------------------------

// lor2c_host_fail makes the nth call from now of an entry point, or the nth run
// of "kernel:NAME", fail with the code.
extern "C" __attribute__((visibility("default"))) void lor2c_host_fail(const char* entry, uint64_t nth, int code) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    faults[entry] = Fault{nth, Result(code)};
}

// lor2c_host_calls returns the number of calls of an entry point, of runs of
// "kernel:NAME", or of contexts that were created, for "context".
extern "C" __attribute__((visibility("default"))) uint64_t lor2c_host_calls(const char* entry) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    const auto c = calls.find(entry);
    return c == calls.end() ? 0 : c->second;
}

// lor2c_host_memory sets the memory of a device in bytes; 0 restores the
// initial value.
extern "C" __attribute__((visibility("default"))) void lor2c_host_memory(uint64_t total) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    state.total = total != 0 ? total : setting("LOR2C_HOST_MEMORY", uint64_t(4) << 30);
}

// lor2c_host_seed restarts the sequence of random orders from a seed.
extern "C" __attribute__((visibility("default"))) void lor2c_host_seed(uint64_t value) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    driver::seed(value);
}

// lor2c_host_repair cancels pending faults and restores contexts that a fault
// made unusable.
extern "C" __attribute__((visibility("default"))) void lor2c_host_repair() {
    std::lock_guard<std::recursive_mutex> hold(lock);
    faults.clear();
    for (Device& d : state.devices) d.context.error = kSuccess;
}

// ---- devices --------------------------------------------------------------------

ENTRY cuInit(unsigned) {
    static const bool once = (ask(getenv("LOR2C_HOST_FAIL")), true);
    (void)once;
    BEGIN(Call::nothing);
    if (state.initialized) return kSuccess;
    // A test may have set the memory before the driver was asked for.
    if (state.total == 0) state.total = setting("LOR2C_HOST_MEMORY", uint64_t(4) << 30);
    for (const int i : visible(int(setting("LOR2C_HOST_DEVICES", 1)))) {
        Device d;
        d.ordinal = i;
        d.uuid = uuid(i);
        state.devices.push_back(d);
    }
    if (state.devices.empty()) return kNoDevice;
    state.initialized = true;
    return kSuccess;
}

ENTRY cuDriverGetVersion(int* version) {
    BEGIN(Call::nothing);
    *version = int(setting("LOR2C_HOST_DRIVER", 12040));
    return kSuccess;
}

ENTRY cuDeviceGetCount(int* count) {
    BEGIN(Call::initialized);
    *count = int(state.devices.size());
    return kSuccess;
}

static bool is_device(int d) { return d >= 0 && d < int(state.devices.size()); }

ENTRY cuDeviceGet(int* device, int ordinal) {
    BEGIN(Call::initialized);
    if (!is_device(ordinal)) return kInvalidDevice;
    *device = ordinal;
    return kSuccess;
}

ENTRY cuDeviceGetName(char* name, int length, int device) {
    BEGIN(Call::initialized);
    if (!is_device(device)) return kInvalidDevice;
    snprintf(name, size_t(length), "Host Fibers %d", state.devices[device].ordinal);
    return kSuccess;
}

ENTRY cuDeviceGetUuid(char* id, int device) {
    BEGIN(Call::initialized);
    if (!is_device(device)) return kInvalidDevice;
    memcpy(id, state.devices[device].uuid.data(), 16);
    return kSuccess;
}

ENTRY cuDeviceTotalMem_v2(size_t* bytes, int device) {
    BEGIN(Call::initialized);
    if (!is_device(device)) return kInvalidDevice;
    *bytes = state.total;
    return kSuccess;
}

ENTRY cuDeviceGetAttribute(int* value, int attribute, int device) {
    BEGIN(Call::initialized);
    if (!is_device(device)) return kInvalidDevice;
    // These are the attributes of an sm_86 card, which has the least shared
    // memory of the targets.
    static const std::map<int, int> values = {
        {1, 1024},           // threads of a block
        {2, 1024},           // block x
        {3, 1024},           // block y
        {4, 64},             // block z
        {5, 2147483647},     // grid x
        {6, 65535},          // grid y
        {7, 65535},          // grid z
        {8, 48 << 10},       // shared memory of a block
        {10, 32},            // threads of a warp
        {12, 65536},         // registers of a block
        {13, 1695000},       // clock, kHz
        {16, 4},             // multiprocessors
        {31, 1},             // concurrent kernels
        {33, device},        // PCI bus
        {36, 7501000},       // memory clock, kHz
        {37, 384},           // memory bus, bits
        {38, 6 << 20},       // second-level cache
        {39, 1536},          // threads of a multiprocessor
        {40, 2},             // copy engines
        {41, 1},             // unified addressing
        {81, 100 << 10},     // shared memory of a multiprocessor
        {97, 99 << 10},      // shared memory of a block that asks
    };
    if (attribute == 75 || attribute == 76) {
        *value = attribute == 75 ? capability() / 10 : capability() % 10;
        return kSuccess;
    }
    const auto v = values.find(attribute);
    *value = v == values.end() ? 0 : v->second;
    return kSuccess;
}

// ---- contexts ------------------------------------------------------------------

static Device* device_of(void* context) {
    for (Device& d : state.devices)
        if (&d.context == context) return &d;
    return nullptr;
}

ENTRY cuDevicePrimaryCtxRetain(void** context, int device) {
    BEGIN(Call::initialized);
    if (!is_device(device)) return kInvalidDevice;
    Context& c = state.devices[device].context;
    if (c.retained == 0) {
        const Result r = fault("context");
        if (r != kSuccess) return r;
    }
    c.device = device;
    c.retained++;
    *context = &c;
    return kSuccess;
}

ENTRY cuDevicePrimaryCtxRelease_v2(int device) {
    BEGIN(Call::initialized);
    if (!is_device(device)) return kInvalidDevice;
    Context& c = state.devices[device].context;
    if (c.retained == 0) return kInvalidContext;
    if (--c.retained == 0) c.error = kSuccess;
    return kSuccess;
}

ENTRY cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) {
    BEGIN(Call::initialized);
    if (!is_device(device)) return kInvalidDevice;
    *flags = 0;
    *active = state.devices[device].context.retained > 0;
    return kSuccess;
}

ENTRY cuDevicePrimaryCtxSetFlags_v2(int device, unsigned) {
    BEGIN(Call::initialized);
    return is_device(device) ? kSuccess : kInvalidDevice;
}

ENTRY cuCtxSetCurrent(void* context) {
    BEGIN(Call::initialized);
    const Device* d = device_of(context);
    if (context != nullptr && d == nullptr) return kInvalidContext;
    driver::current = d == nullptr ? -1 : d->context.device;
    return kSuccess;
}

ENTRY cuCtxGetCurrent(void** context) {
    BEGIN(Call::initialized);
    *context = driver::current < 0 ? nullptr : &state.devices[driver::current].context;
    return kSuccess;
}

ENTRY cuCtxGetDevice(int* device) {
    BEGIN(Call::context);
    *device = driver::current;
    return kSuccess;
}

ENTRY cuCtxSynchronize() {
    BEGIN(Call::context);
    if (unsafe()) return kCaptureUnsupported;
    drain_all();
    return call.end();
}

ENTRY cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    BEGIN(Call::context);
    *least = 0;
    *greatest = -5;
    return kSuccess;
}

// ---- errors ---------------------------------------------------------------------

static const struct {
    int code;
    const char *name, *text;
} kErrors[] = {
    {kSuccess, "CUDA_SUCCESS", "no error"},
    {kInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {kNotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {kNoDevice, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {kInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {kNoBinary, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {kEccUncorrectable, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {kInvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {kNotFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {kNotReady, "CUDA_ERROR_NOT_READY", "device not ready"},
    {kIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {kOutOfResources, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {kLaunchTimeout, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {kLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {kNotSupported, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
    {kCaptureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {kCaptureInvalidated, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {kCapturedEvent, "CUDA_ERROR_CAPTURED_EVENT",
     "operation not permitted on an event last recorded in a capturing stream"},
    {kUnknown, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

ENTRY cuGetErrorName(int code, const char** name) {
    for (const auto& e : kErrors)
        if (e.code == code) return *name = e.name, kSuccess;
    *name = nullptr;
    return kInvalidValue;
}

ENTRY cuGetErrorString(int code, const char** text) {
    for (const auto& e : kErrors)
        if (e.code == code) return *text = e.text, kSuccess;
    *text = nullptr;
    return kInvalidValue;
}
