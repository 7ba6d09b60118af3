// A driver with one device, whose memory is the host's and whose only kernel is
// axpy of driver_test.go. Work is done at once, except in a stream capture.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUCCESS 0
#define INVALID_VALUE 1
#define OUT_OF_MEMORY 2
#define INVALID_IMAGE 200
#define INVALID_CONTEXT 201
#define NOT_FOUND 500
#define ILLEGAL_ADDRESS 700
#define CAPTURE_UNSUPPORTED 900

static const int64_t memory = 1 << 20;
static int64_t used;
static int retained, lost, shared_limit = 48 << 10;
static __thread void *current;

struct axpy {
    float *dst;
    const float *src;
    int32_t n;
    float scale;
};
struct work {
    struct axpy args;
    unsigned threads;
    struct work *next;
};
struct stream {
    int capturing;
    struct work *first, **end;
};
struct event {
    int recorded, timing;
};
static struct stream *captured; // NULL outside a capture
static int context, module, function;

static int answer(int code) { return lost ? lost : code; }
#define WITH_CONTEXT \
    if (!current) return INVALID_CONTEXT;
#define NOT_IN_CAPTURE \
    if (captured) return CAPTURE_UNSUPPORTED;

int cuInit(unsigned flags) { return SUCCESS; }
int cuDriverGetVersion(int *v) { return *v = 12040, SUCCESS; }
int cuGetErrorName(int code, const char **name) {
    switch (code) {
    case INVALID_VALUE: return *name = "CUDA_ERROR_INVALID_VALUE", SUCCESS;
    case OUT_OF_MEMORY: return *name = "CUDA_ERROR_OUT_OF_MEMORY", SUCCESS;
    case INVALID_IMAGE: return *name = "CUDA_ERROR_INVALID_IMAGE", SUCCESS;
    case NOT_FOUND: return *name = "CUDA_ERROR_NOT_FOUND", SUCCESS;
    case ILLEGAL_ADDRESS: return *name = "CUDA_ERROR_ILLEGAL_ADDRESS", SUCCESS;
    }
    return *name = NULL, INVALID_VALUE;
}
int cuDeviceGetCount(int *n) { return *n = 1, SUCCESS; }
int cuDeviceGet(int *d, int i) { return *d = i, i ? 101 : SUCCESS; }
int cuDeviceGetName(char *name, int n, int d) { return snprintf(name, n, "Fake Device"), SUCCESS; }
int cuDeviceGetUuid(char *id, int d) {
    for (int i = 0; i < 16; i++) id[i] = i;
    return SUCCESS;
}
int cuDeviceTotalMem_v2(size_t *n, int d) { return *n = memory, SUCCESS; }
int cuDeviceGetAttribute(int *v, int a, int d) {
    switch (a) {
    case 16: return *v = 3, SUCCESS;
    case 75: return *v = 8, SUCCESS;
    case 76: return *v = 9, SUCCESS;
    case 97: return *v = 99 << 10, SUCCESS;
    }
    return INVALID_VALUE;
}

int cuDevicePrimaryCtxRetain(void **c, int d) { return retained++, *c = &context, SUCCESS; }
int cuDevicePrimaryCtxRelease_v2(int d) { return retained-- > 0 ? SUCCESS : INVALID_CONTEXT; }
int cuCtxSetCurrent(void *c) { return current = c, SUCCESS; }
int cuCtxSynchronize(void) {
    WITH_CONTEXT NOT_IN_CAPTURE return answer(SUCCESS);
}

int cuModuleLoadData(void **m, const void *image) {
    WITH_CONTEXT return strstr(image, ".entry axpy") ? *m = &module, SUCCESS : INVALID_IMAGE;
}
int cuModuleUnload(void *m) { return SUCCESS; }
int cuModuleGetFunction(void **f, void *m, const char *name) {
    return strcmp(name, "axpy") ? NOT_FOUND : (*f = &function, SUCCESS);
}
int cuFuncGetAttribute(int *v, int a, void *f) {
    const int values[] = {1024, 0, 0, 0, 10, 80, 89};
    return a < 0 || a > 6 ? INVALID_VALUE : (*v = values[a], SUCCESS);
}
int cuFuncSetAttribute(void *f, int a, int v) {
    return a != 8 || v > 99 << 10 ? INVALID_VALUE : (shared_limit = v, SUCCESS);
}
int cuFuncGetParamInfo(void *f, size_t i, size_t *offset, size_t *size) {
    return i ? INVALID_VALUE : (*offset = 0, *size = sizeof(struct axpy), SUCCESS);
}

int cuMemGetInfo_v2(size_t *free, size_t *total) {
    WITH_CONTEXT return *free = memory - used, *total = memory, SUCCESS;
}
int cuMemAlloc_v2(void **p, size_t n) {
    WITH_CONTEXT NOT_IN_CAPTURE if (used + (int64_t)n > memory) return OUT_OF_MEMORY;
    char *block = aligned_alloc(256, (n + 511) & ~255);
    *(int64_t *)block = n;
    used += n;
    return *p = block + 256, SUCCESS;
}
int cuMemFree_v2(char *p) {
    if (!p) return INVALID_VALUE;
    used -= *(int64_t *)(p - 256);
    free(p - 256);
    return answer(SUCCESS);
}
int cuMemHostAlloc(void **p, size_t n, unsigned flags) {
    WITH_CONTEXT return *p = malloc(n), SUCCESS;
}
int cuMemFreeHost(void *p) { return free(p), SUCCESS; }
static int copy(void *dst, const void *src, size_t n) { return memmove(dst, src, n), answer(SUCCESS); }
int cuMemcpyHtoD_v2(void *dst, const void *src, size_t n) {
    NOT_IN_CAPTURE return copy(dst, src, n);
}
int cuMemcpyDtoH_v2(void *dst, const void *src, size_t n) {
    NOT_IN_CAPTURE return copy(dst, src, n);
}
int cuMemcpyHtoDAsync_v2(void *dst, const void *src, size_t n, void *s) { return copy(dst, src, n); }
int cuMemcpyDtoHAsync_v2(void *dst, const void *src, size_t n, void *s) { return copy(dst, src, n); }
int cuMemsetD8Async(void *dst, unsigned char v, size_t n, void *s) { return memset(dst, v, n), answer(SUCCESS); }

int cuStreamCreate(void **s, unsigned flags) {
    return *s = calloc(1, sizeof(struct stream)), flags == 1 ? SUCCESS : INVALID_VALUE;
}
int cuStreamSynchronize(void *s) {
    NOT_IN_CAPTURE return answer(SUCCESS);
}
int cuStreamDestroy_v2(void *s) { return free(s), SUCCESS; }
int cuEventCreate(struct event **e, unsigned flags) {
    *e = calloc(1, sizeof **e);
    (*e)->timing = !(flags & 2);
    return SUCCESS;
}
int cuEventRecord(struct event *e, void *s) { return e->recorded = 1, SUCCESS; }
int cuEventSynchronize(struct event *e) { return answer(SUCCESS); }
int cuEventDestroy_v2(void *e) { return free(e), SUCCESS; }
int cuEventElapsedTime(float *ms, struct event *a, struct event *b) {
    return a->timing && b->timing ? *ms = 0.5f, SUCCESS : INVALID_VALUE;
}

static int run(const struct work *w) {
    if (!w->args.dst) return lost = ILLEGAL_ADDRESS, SUCCESS; // a kernel's fault shows at a later call
    for (unsigned i = 0; i < w->threads; i++)
        if ((int)i < w->args.n) w->args.dst[i] += w->args.scale * w->args.src[i];
    return answer(SUCCESS);
}
int cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared,
                   void *stream, void **parameters, void **extra) {
    struct stream *s = stream;
    if (f != &function || !parameters || extra) return INVALID_VALUE;
    if (gx * gy * gz * bx * by * bz == 0 || (int)shared > shared_limit) return INVALID_VALUE;
    struct work *w = malloc(sizeof *w);
    *w = (struct work){*(struct axpy *)parameters[0], gx * bx, NULL};
    if (s->capturing) {
        *s->end = w;
        s->end = &w->next;
        return SUCCESS;
    }
    int code = run(w);
    free(w);
    return code;
}
struct config {
    unsigned grid[3], block[3], shared;
    void *stream;
    struct {
        int id, pad;
        unsigned value[16];
    } *attributes;
    unsigned count;
};
int cuLaunchKernelEx(const struct config *c, void *f, void **parameters, void **extra) {
    // CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
    if (c->count != 1 || c->attributes->id != 4 || c->grid[0] % c->attributes->value[0]) return INVALID_VALUE;
    return cuLaunchKernel(f, c->grid[0], c->grid[1], c->grid[2], c->block[0], c->block[1], c->block[2], c->shared,
                          c->stream, parameters, extra);
}

int cuStreamBeginCapture_v2(struct stream *s, int mode) {
    if (s->capturing) return INVALID_VALUE;
    s->capturing = 1;
    s->first = NULL;
    s->end = &s->first;
    captured = s;
    return SUCCESS;
}
int cuStreamEndCapture(struct stream *s, void **graph) {
    s->capturing = 0;
    captured = NULL;
    struct work **g = malloc(sizeof *g);
    *g = s->first;
    return *graph = g, SUCCESS;
}
int cuGraphInstantiateWithFlags(void **exec, struct work **graph, unsigned long long flags) {
    struct work **e = malloc(sizeof *e);
    *e = *graph;
    return *exec = e, SUCCESS;
}
int cuGraphLaunch(struct work **exec, void *s) {
    int code = SUCCESS;
    for (struct work *w = *exec; w && !code; w = w->next) code = run(w);
    return code;
}
int cuGraphDestroy(void *graph) { return free(graph), SUCCESS; }
int cuGraphExecDestroy(void *exec) { return free(exec), SUCCESS; }

int cuTensorMapEncodeTiled(char *map, int type, uint32_t rank, char *address, const uint64_t *dims,
                           const uint64_t *strides,
                           const uint32_t *box, const uint32_t *element_strides, int interleave, int swizzle,
                           int promotion, int fill) {
    if ((uintptr_t)map % 64 || (uintptr_t)address % 16 || type != 9 || interleave || fill) return INVALID_VALUE;
    for (uint32_t i = 0; i < rank; i++)
        if (element_strides[i] != 1 || (i && strides[i - 1] % 16)) return INVALID_VALUE;
    memset(map, 0, 128);
    snprintf(map, 128, "%p %llu %llu stride %llu box %u %u swizzle %d", (void *)address, (unsigned long long)dims[0],
             (unsigned long long)dims[1], (unsigned long long)strides[0], box[0], box[1], swizzle);
    return SUCCESS;
}
