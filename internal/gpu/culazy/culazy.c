//go:build cuda && linux && amd64

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "culazy.h"
#include "names.h"

#define HIDDEN __attribute__((visibility("hidden")))
#define NOT_INITIALIZED 3
#define NOT_SUPPORTED 801

HIDDEN void *culazy_entry[ENTRIES];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *fault = "";
static int init_result = NO_LIBRARY;
static const char *absent[ENTRIES];
static int absent_count;

static int no_driver(void) { return NOT_INITIALIZED; }
static int no_entry(void) { return NOT_SUPPORTED; }

// Until the driver is opened, every call returns an error.
__attribute__((constructor)) static void start(void) {
    for (int i = 0; i < ENTRIES; i++) culazy_entry[i] = (void *)no_driver;
}

// open_driver loads the driver and initializes it, which takes half a second on
// many machines and more on some.
static void open_driver(void) {
    const char *path = getenv("LOR2C_LIBCUDA");
    if (!path || !*path) path = "libcuda.so.1";
    void *driver = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!driver) {
        const char *why = dlerror();
        fault = why ? strdup(why) : "dlopen failed";
        return;
    }
    for (int i = 0; i < ENTRIES; i++) {
        culazy_entry[i] = dlsym(driver, names[i]);
        if (culazy_entry[i]) continue;
        culazy_entry[i] = (void *)no_entry;
        absent[absent_count++] = names[i];
    }
    init_result = ((int (*)(unsigned))culazy_entry[AT_cuInit])(0);
}

// Package cu calls cuInit before main, and ends the process if it fails. So cu
// always sees success, and the driver is initialized when culazy_status is
// called for the first time.
HIDDEN int cuInit(unsigned flags) {
    (void)flags;
    return 0;
}

HIDDEN int cuDeviceGetCount(int *n) {
    if (culazy_status() != 0) {
        *n = 0;
        return 0;
    }
    return ((int (*)(int *))culazy_entry[AT_cuDeviceGetCount])(n);
}

int culazy_status(void) {
    pthread_once(&once, open_driver);
    return init_result;
}
const char *culazy_fault(void) {
    culazy_status();
    return fault;
}
const char *culazy_absent(int i) {
    culazy_status();
    return i < absent_count ? absent[i] : NULL;
}
