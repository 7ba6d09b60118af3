#include "places.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <set>
#include <string>

namespace host {

namespace {

const char* const drop = getenv("LOR2C_HOST_DROP");
const char* const coverage = getenv("LOR2C_HOST_COVERAGE");

// reached has the calls that the running launch has reached.
std::set<std::pair<const char*, int>> reached;

std::string text(Place p) {
    const char* slash = strrchr(p.file, '/');
    return std::string(slash == nullptr ? p.file : slash + 1) + ":" + std::to_string(p.line);
}

// note appends a line at once, because no function of a library is called when
// a process of Go ends.
void note(const std::string& line) {
    FILE* f = fopen(coverage, "a");
    if (f == nullptr || fputs((line + "\n").c_str(), f) < 0 || fclose(f) != 0) {
        perror(coverage);
        abort();
    }
}

} // namespace

bool passes(Place place) {
    if (drop == nullptr && coverage == nullptr) return false;
    if (coverage != nullptr && reached.insert({place.file, place.line}).second) note("reached " + text(place));
    return drop != nullptr && text(place) == drop;
}

void runs(const Kernel& kernel) {
    if (coverage == nullptr) return;
    static bool first = true;
    for (const Kernel* k = Kernel::first(); first && k != nullptr; k = k->next) note(std::string("library ") + k->name);
    first = false;
    reached.clear();
    note(std::string("kernel ") + kernel.name);
}

} // namespace host
