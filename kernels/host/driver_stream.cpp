// This file implements streams, events and captured graphs.
#include <time.h>

#include <algorithm>
#include <atomic>

#include "driver.h"
#include "random.h"

namespace driver {

Stream* stream_of(void* handle) {
    if (handle == nullptr) return &state.null;
    Stream* s = static_cast<Stream*>(handle);
    return state.streams.count(s) != 0 ? s : nullptr;
}

static host::Random lots{host::seed_at_start()};

uint64_t lot() { return lots.next(); }

void seed(uint64_t value) {
    lots.at = value;
    host::seed(value);
}

static bool dead() {
    for (const Device& d : state.devices)
        if (d.context.error != kSuccess) return true;
    return false;
}

static void step(Stream& s) {
    const Work work = std::move(s.queue.front());
    s.queue.pop_front();
    // After an error no work runs.
    if (!dead()) work();
}

void drain(Stream& s) {
    while (!s.queue.empty()) step(s);
}

void drain_all() {
    // Streams that do not depend on each other advance in a random order.
    std::vector<Stream*> busy{&state.null};
    busy.insert(busy.end(), state.streams.begin(), state.streams.end());
    while (!busy.empty()) {
        const size_t i = lot() % busy.size();
        if (busy[i]->queue.empty()) busy.erase(busy.begin() + long(i));
        else step(*busy[i]);
    }
}

void settle() {
    drain(state.null);
    for (Stream* s : state.streams)
        if (s->blocking) drain(*s);
}

bool unsafe() {
    bool any = false;
    for (Stream* s : state.streams)
        if (s->capture != nullptr && s->mode != 2) any = s->invalid = true;
    return any;
}

void submit(Stream& s, Work work) {
    if (s.capture != nullptr) {
        s.capture->nodes.push_back(std::move(work));
        return;
    }
    if (&s == &state.null) settle();
    else if (s.blocking) drain(state.null);
    s.queue.push_back(std::move(work));
    switch (lot() % 4) {
    case 0: drain(s); break;
    case 1: step(s); break;
    default: break;
    }
}

} // namespace driver

using namespace driver;

static double now_ms() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return double(t.tv_sec) * 1e3 + double(t.tv_nsec) / 1e6;
}

ENTRY cuStreamCreateWithPriority(void** stream, unsigned flags, int priority) {
    BEGIN(Call::context);
    if (flags > 1) return kInvalidValue;
    Stream* s = new Stream;
    s->blocking = flags == 0;
    s->priority = std::max(-5, std::min(0, priority));
    state.streams.insert(s);
    *stream = s;
    return kSuccess;
}

ENTRY cuStreamCreate(void** stream, unsigned flags) {
    BEGIN(Call::context);
    return cuStreamCreateWithPriority(stream, flags, 0);
}

ENTRY cuStreamDestroy_v2(void* stream) {
    BEGIN(Call::context);
    ON_STREAM;
    if (s == &state.null) return kInvalidHandle;
    drain(*s);
    for (Event* e : state.events)
        if (e->stream == s) e->stream = nullptr;
    state.streams.erase(s);
    delete s;
    return kSuccess;
}

ENTRY cuStreamQuery(void* stream) {
    BEGIN(Call::context);
    ON_STREAM;
    if (s->capture != nullptr) s->invalid = true;
    if (unsafe() || s->capture != nullptr) return kCaptureUnsupported;
    if (!s->queue.empty()) step(*s);
    if (call.end() != kSuccess) return call.end();
    return s->queue.empty() ? kSuccess : kNotReady;
}

ENTRY cuStreamSynchronize(void* stream) {
    BEGIN(Call::context);
    ON_STREAM;
    if (s->capture != nullptr) s->invalid = true;
    if (unsafe() || s->capture != nullptr) return kCaptureUnsupported;
    if (s == &state.null) settle();
    drain(*s);
    return call.end();
}

ENTRY cuStreamGetFlags(void* stream, unsigned* flags) {
    BEGIN(Call::context);
    ON_STREAM;
    *flags = s->blocking ? 0 : 1;
    return kSuccess;
}

ENTRY cuStreamGetPriority(void* stream, int* priority) {
    BEGIN(Call::context);
    ON_STREAM;
    *priority = s->priority;
    return kSuccess;
}

// ---- events ---------------------------------------------------------------------

#define OF_EVENT                           \
    Event* e = static_cast<Event*>(event); \
    if (state.events.count(e) == 0) return kInvalidHandle

ENTRY cuEventCreate(void** event, unsigned flags) {
    BEGIN(Call::context);
    Event* e = new Event;
    e->timed = (flags & 2) == 0;
    state.events.insert(e);
    *event = e;
    return kSuccess;
}

// until runs the work of a stream up to a record of an event.
static void until(Event& e, uint64_t record) {
    while (e.done < record && e.stream != nullptr && !e.stream->queue.empty()) step(*e.stream);
}

ENTRY cuEventDestroy_v2(void* event) {
    BEGIN(Call::context);
    OF_EVENT;
    until(*e, e->recorded);
    // Other streams may have queued work that waits for the event.
    drain_all();
    state.events.erase(e);
    delete e;
    return call.end();
}

ENTRY cuEventRecord(void* event, void* stream) {
    BEGIN(Call::context);
    OF_EVENT;
    ON_STREAM;
    e->captured = s->capture != nullptr;
    if (e->captured) return kSuccess;
    const uint64_t record = ++e->recorded;
    e->stream = s;
    submit(*s, [=] {
        e->done = record;
        e->at = now_ms();
    });
    return call.end();
}

ENTRY cuEventQuery(void* event) {
    BEGIN(Call::context);
    OF_EVENT;
    if (e->captured) return kCapturedEvent;
    if (unsafe()) return kCaptureUnsupported;
    if (e->done < e->recorded && e->stream != nullptr && lot() % 2 == 0) step(*e->stream);
    if (call.end() != kSuccess) return call.end();
    return e->done < e->recorded ? kNotReady : kSuccess;
}

ENTRY cuEventSynchronize(void* event) {
    BEGIN(Call::context);
    OF_EVENT;
    if (e->captured) return kCapturedEvent;
    if (unsafe()) return kCaptureUnsupported;
    until(*e, e->recorded);
    return call.end();
}

ENTRY cuEventElapsedTime(float* ms, void* start, void* stop) {
    BEGIN(Call::context);
    Event *a = static_cast<Event*>(start), *b = static_cast<Event*>(stop);
    if (state.events.count(a) == 0 || state.events.count(b) == 0 || !a->timed || !b->timed) return kInvalidHandle;
    if (a->recorded == 0 || b->recorded == 0) return kInvalidHandle;
    if (a->done < a->recorded || b->done < b->recorded) return kNotReady;
    *ms = float(b->at - a->at);
    return kSuccess;
}

ENTRY cuStreamWaitEvent(void* stream, void* event, unsigned) {
    BEGIN(Call::context);
    ON_STREAM;
    OF_EVENT;
    // Graphs of several streams are not supported, because lor2c captures only
    // one.
    if (e->captured || s->capture != nullptr) return kCaptureUnsupported;
    const uint64_t record = e->recorded;
    submit(*s, [=] { until(*e, record); });
    return call.end();
}

// ---- graphs -----------------------------------------------------------------------

ENTRY cuStreamBeginCapture_v2(void* stream, int mode) {
    BEGIN(Call::context);
    ON_STREAM;
    if (s == &state.null) return kCaptureUnsupported;
    if (s->capture != nullptr || mode < 0 || mode > 2) return kInvalidValue;
    s->capture.reset(new Graph);
    s->mode = mode;
    s->invalid = false;
    return kSuccess;
}

ENTRY cuStreamEndCapture(void* stream, void** graph) {
    BEGIN(Call::context);
    ON_STREAM;
    *graph = nullptr;
    if (s->capture == nullptr) return kInvalidValue;
    std::unique_ptr<Graph> g = std::move(s->capture);
    if (s->invalid) return kCaptureInvalidated;
    state.graphs.insert(g.get());
    *graph = g.release();
    return kSuccess;
}

ENTRY cuStreamIsCapturing(void* stream, int* status) {
    BEGIN(Call::context);
    ON_STREAM;
    *status = s->capture == nullptr ? 0 : s->invalid ? 2 : 1;
    return kSuccess;
}

// Memory of a device that a graph takes for each kernel.
static std::atomic<uint64_t> node_bytes{0};
static std::map<const Graph*, std::pair<Device*, uint64_t>> graph_memory;

// lor2c_host_graph_memory sets the memory of each kernel of the graphs that are
// instantiated from now on.
extern "C" __attribute__((visibility("default"))) void lor2c_host_graph_memory(uint64_t bytes) { node_bytes = bytes; }

ENTRY cuGraphInstantiateWithFlags(void** exec, void* graph, unsigned long long) {
    BEGIN(Call::context);
    Graph* g = static_cast<Graph*>(graph);
    if (state.graphs.count(g) == 0) return kInvalidHandle;
    Device& d = call.device();
    const uint64_t bytes = node_bytes * g->nodes.size();
    if (bytes > state.total || d.used > state.total - bytes) return kOutOfMemory;
    d.used += bytes;
    Graph* x = new Graph(*g);
    graph_memory[x] = {&d, bytes};
    state.execs.insert(x);
    *exec = x;
    return kSuccess;
}

ENTRY cuGraphLaunch(void* exec, void* stream) {
    BEGIN(Call::context);
    ON_STREAM;
    Graph* x = static_cast<Graph*>(exec);
    if (state.execs.count(x) == 0) return kInvalidHandle;
    const std::vector<Work> nodes = x->nodes;
    submit(*s, [nodes] {
        for (const Work& w : nodes)
            if (!dead()) w();
    });
    return call.end();
}

ENTRY cuGraphDestroy(void* graph) {
    BEGIN(Call::context);
    Graph* g = static_cast<Graph*>(graph);
    if (state.graphs.erase(g) == 0) return kInvalidHandle;
    delete g;
    return kSuccess;
}

ENTRY cuGraphExecDestroy(void* exec) {
    BEGIN(Call::context);
    Graph* x = static_cast<Graph*>(exec);
    if (state.execs.erase(x) == 0) return kInvalidHandle;
    const auto memory = graph_memory.find(x);
    memory->second.first->used -= memory->second.second;
    graph_memory.erase(memory);
    delete x;
    return kSuccess;
}
