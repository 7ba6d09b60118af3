//go:build cuda && linux && amd64

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include "culazy.h"
#include "names.h"

#define HIDDEN __attribute__((visibility("hidden")))
#define NOT_INITIALIZED 3
#define NOT_SUPPORTED 801

HIDDEN void *culazy_entry[ENTRIES];

static void *driver;
static const char *fault = "";
static int init_result = NO_LIBRARY;
static const char *absent[ENTRIES];
static int absent_count;

static int no_driver(void) { return NOT_INITIALIZED; }
static int no_entry(void) { return NOT_SUPPORTED; }

__attribute__((constructor)) static void load(void) {
    for (int i = 0; i < ENTRIES; i++) culazy_entry[i] = (void *)no_driver;
    const char *path = getenv("LOR2C_LIBCUDA");
    if (!path || !*path) path = "libcuda.so.1";
    driver = dlopen(path, RTLD_NOW | RTLD_LOCAL);
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
}

// Package cu ends the process before main if cuInit fails. So cu always sees
// success, and culazy_status has the true result.
HIDDEN int cuInit(unsigned flags) {
    if (driver) init_result = ((int (*)(unsigned))culazy_entry[AT_cuInit])(flags);
    return 0;
}

HIDDEN int cuDeviceGetCount(int *n) {
    if (init_result != 0) {
        *n = 0;
        return 0;
    }
    return ((int (*)(int *))culazy_entry[AT_cuDeviceGetCount])(n);
}

int culazy_status(void) { return init_result; }
const char *culazy_fault(void) { return fault; }
const char *culazy_absent(int i) { return i < absent_count ? absent[i] : NULL; }
