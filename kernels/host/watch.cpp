#include "watch.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "async.h"
#include "order.h"
#include "shadow.h"

namespace host {

namespace {

// Image is the part of memory that this library occupies.
struct Image {
    uintptr_t base = 0, begin = ~uintptr_t(0), end = 0;
    std::string path;
};

int look(dl_phdr_info* info, size_t, void* found) {
    Image image;
    image.base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const auto& part = info->dlpi_phdr[i];
        if (part.p_type != PT_LOAD) continue;
        image.begin = std::min(image.begin, uintptr_t(image.base + part.p_vaddr));
        image.end = std::max(image.end, uintptr_t(image.base + part.p_vaddr + part.p_memsz));
    }
    const uintptr_t here = reinterpret_cast<uintptr_t>(&look);
    if (here < image.begin || here >= image.end) return 0;
    char program[4096] = {};
    if (info->dlpi_name[0] == 0 && readlink("/proc/self/exe", program, sizeof program - 1) < 0)
        perror("host: readlink");
    image.path = info->dlpi_name[0] != 0 ? info->dlpi_name : program;
    *static_cast<Image*>(found) = image;
    return 1;
}

const Image& image() {
    static const Image found = [] {
        Image i;
        dl_iterate_phdr(look, &i);
        return i;
    }();
    return found;
}

// The code of a library is smaller than 2 GB, so the upper half of the numbers
// is free for lines.
constexpr Site kLine = 1u << 31;
std::vector<Place> lines;

Watcher* choose() {
    const char* mode = getenv("LOR2C_HOST_MODE");
    if (mode == nullptr || *mode == 0 || strcmp(mode, "launches") == 0 || strcmp(mode, "card") == 0)
        return nullptr;
    if (strcmp(mode, "races") == 0) return watch_races();
    if (strcmp(mode, "accesses") == 0) return watch_accesses();
    fprintf(stderr, "host: LOR2C_HOST_MODE is \"%s\"; want races, accesses, card or launches\n", mode);
    abort();
}

const char* base_name(const char* path) {
    const char* slash = strrchr(path, '/');
    return slash == nullptr ? path : slash + 1;
}

bool within(uintptr_t at, uintptr_t begin, size_t size) { return at - begin < size; }

void report(const void* p, uint32_t size, bool write, void* from) {
    if (watcher == nullptr || self == nullptr) return;
    const uintptr_t at = reinterpret_cast<uintptr_t>(p);
    if (order::on() && self->fiber.owns(p))
        async::in_progress(p, size, Site(reinterpret_cast<uintptr_t>(from) - image().base));
    // Local variables are registers on a card, and what this library keeps is not the kernel's.
    if (self->fiber.owns(p) || within(at, image().begin, image().end - image().begin)) return;
    if (within(at, reinterpret_cast<uintptr_t>(block.args), block.kernel->size)) return;
    watched(p, size, write, self->number, Site(reinterpret_cast<uintptr_t>(from) - image().base));
}

} // namespace

Watcher* watcher = choose();

Site site(Place place) {
    for (size_t i = 0; i < lines.size(); i++)
        if (lines[i].file == place.file && lines[i].line == place.line) return kLine | Site(i);
    lines.push_back(place);
    return kLine | Site(lines.size() - 1);
}

std::string address(Site s) {
    if (s & kLine) return describe(s);
    char text[16];
    snprintf(text, sizeof text, "0x%x", s - 1);
    return text;
}

// addr2line comes with the compiler. It prints a line for every function that
// the compiler has put into another one.
std::string describe(Site s) {
    if (s & kLine) {
        const Place& p = lines[s & ~kLine];
        return std::string(base_name(p.file)) + ":" + std::to_string(p.line);
    }
    char command[4096];
    snprintf(command, sizeof command, "addr2line -i -e '%s' 0x%x 2>/dev/null", image().path.c_str(), s - 1);
    std::string all;
    if (FILE* pipe = popen(command, "r")) {
        char text[1024];
        while (fgets(text, sizeof text, pipe) != nullptr) {
            text[strcspn(text, " \n")] = 0;
            if (!all.empty()) all += " in ";
            all += base_name(text);
        }
        pclose(pipe);
    }
    if (all.empty() || all[0] == '?') snprintf(command, sizeof command, "code 0x%x", s), all = command;
    return all;
}

void watched(const void* p, uint32_t size, bool write, int thread, Site where) {
    const uintptr_t at = reinterpret_cast<uintptr_t>(p);
    bool shared = false;
    for (const Range& r : block.shared) {
        if (!within(at, reinterpret_cast<uintptr_t>(r.begin), r.size)) continue;
        shared = true;
        if (!order::on()) continue;
        const uint32_t window = r.window + uint32_t(at - reinterpret_cast<uintptr_t>(r.begin));
        write ? shadow::stored(window, size, where) : shadow::loaded(window, size, where);
    }
    watcher->access(Access{at, size, thread, where, write, shared});
}

} // namespace host

// ---- what code compiled with -fsanitize=thread calls ------------------------------

#define CALLER __builtin_return_address(0)
#define READ(name, size) \
    void name(void* p) { ::host::report(p, size, false, CALLER); }
#define WRITE(name, size) \
    void name(void* p) { ::host::report(p, size, true, CALLER); }
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void*) {}
void __tsan_vptr_update(void*, void*) {}
READ(__tsan_read1, 1)
READ(__tsan_read2, 2)
READ(__tsan_read4, 4)
READ(__tsan_read8, 8)
READ(__tsan_read16, 16)
READ(__tsan_unaligned_read2, 2)
READ(__tsan_unaligned_read4, 4)
READ(__tsan_unaligned_read8, 8)
READ(__tsan_unaligned_read16, 16)
WRITE(__tsan_write1, 1)
WRITE(__tsan_write2, 2)
WRITE(__tsan_write4, 4)
WRITE(__tsan_write8, 8)
WRITE(__tsan_write16, 16)
WRITE(__tsan_unaligned_write2, 2)
WRITE(__tsan_unaligned_write4, 4)
WRITE(__tsan_unaligned_write8, 8)
WRITE(__tsan_unaligned_write16, 16)
void __tsan_read_range(void* p, unsigned long n) { ::host::report(p, uint32_t(n), false, CALLER); }
void __tsan_write_range(void* p, unsigned long n) { ::host::report(p, uint32_t(n), true, CALLER); }
}
