// A driver on a machine without a GPU.
int cuInit(unsigned flags) { return 100; }
int cuDriverGetVersion(int *v) {
    *v = 12040;
    return 0;
}
// This is not called after a failed cuInit, so a count here would be an error.
int cuDeviceGetCount(int *n) {
    *n = 7;
    return 0;
}
