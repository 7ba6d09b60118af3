// A driver on a machine without a GPU.
int cuInit(unsigned flags) { return 100; }
int cuDriverGetVersion(int *v) {
    *v = 12040;
    return 0;
}
// Not even asked after a failed cuInit: a count here would be an error.
int cuDeviceGetCount(int *n) {
    *n = 7;
    return 0;
}
