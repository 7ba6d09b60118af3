// A driver without a card that appends a line to the file in LOR2C_TEST_CALLS
// when it is opened, and a line for every call.
#include <stdio.h>
#include <stdlib.h>

static void note(const char *line) {
    FILE *f = fopen(getenv("LOR2C_TEST_CALLS"), "a");
    if (!f) abort();
    fprintf(f, "%s\n", line);
    fclose(f);
}

__attribute__((constructor)) static void opened(void) { note("open"); }

int cuInit(unsigned flags) {
    note("cuInit");
    return 100;
}
int cuDriverGetVersion(int *v) {
    note("cuDriverGetVersion");
    *v = 12040;
    return 0;
}
int cuDeviceGetCount(int *n) {
    note("cuDeviceGetCount");
    *n = 0;
    return 0;
}
int cuModuleLoadData(void **module, const void *image) {
    note("cuModuleLoadData");
    return 100;
}
