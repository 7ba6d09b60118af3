// The self-test runs the case that the first argument names.
#include <string.h>

#include "host/selftest/selftest.h"

int main(int argc, char** argv) {
    for (const Case* c = Case::first; argc == 2 && c != nullptr; c = c->next)
        if (strcmp(c->name, argv[1]) == 0) return c->run(), 0;
    fputs("usage: selftest CASE\n", stderr);
    return 2;
}
