/* A CUDA driver in host memory: the part of libcuda.so.1 that our drivers call, for machines
 * without a device. Copies happen at once, unless their stream is being captured.
 *
 * STUB_INIT      what cuInit answers
 * STUB_DEVICES   how many devices there are; 1 if not set
 * STUB_FAIL      name of the call that fails, with STUB_CODE
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TOTAL ((size_t)1 << 30)
#define MOST 64

typedef struct { void *to; const void *from; size_t size; } Copy;
typedef struct { Copy copies[MOST]; int n; int capturing; } Stream;
typedef struct { Copy copies[MOST]; int n; } Graph;

static int live, retained, depth;
static size_t used;

static int fault(const char *call) {
    const char *name = getenv("STUB_FAIL"), *code = getenv("STUB_CODE");
    return name && !strcmp(name, call) ? atoi(code ? code : "999") : 0;
}
#define ENTER if (fault(__func__)) return fault(__func__)
#define ENTER_CURRENT ENTER; if (!depth) return 201

/* What is alive: objects, the context's references and its depth on the stack. */
int stub_live(void) { return live; }
int stub_retained(void) { return retained; }
int stub_depth(void) { return depth; }

int cuInit(unsigned flags) {
    const char *code = getenv("STUB_INIT");
    return code ? atoi(code) : 0;
}
int cuDeviceGetCount(int *n) {
    const char *devices = getenv("STUB_DEVICES");
    *n = devices ? atoi(devices) : 1;
    return 0;
}
int cuDriverGetVersion(int *version) { ENTER; *version = 13000; return 0; }
int cuDeviceGet(int *device, int ordinal) {
    ENTER;
    *device = ordinal;
    return ordinal ? 101 : 0;
}
int cuDeviceGetName(char *name, int size, int device) {
    ENTER;
    strncpy(name, "Stub T4", size);
    return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    ENTER;
    *value = attribute == 75 ? 7 : attribute == 76 ? 5 : -1;
    return 0;
}
int cuDeviceComputeCapability(int *major, int *minor, int device) {
    ENTER;
    *major = 7;
    *minor = 5;
    return 0;
}
int cuDeviceTotalMem(size_t *bytes, int device) { ENTER; *bytes = TOTAL; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) {
    ENTER;
    *context = (void *)0xC0;
    retained++;
    return 0;
}
int cuDevicePrimaryCtxRelease(int device) { ENTER; retained--; return 0; }
int cuCtxPushCurrent(void *context) {
    ENTER;
    if (context != (void *)0xC0) return 201;
    depth++;
    return 0;
}
int cuCtxPopCurrent(void **context) { ENTER_CURRENT; *context = (void *)0xC0; depth--; return 0; }
int cuMemGetInfo(size_t *free, size_t *total) {
    ENTER_CURRENT;
    *free = TOTAL - used;
    *total = TOTAL;
    return 0;
}
int cuMemAlloc(uint64_t *address, size_t size) {
    ENTER_CURRENT;
    if (!size) return 1;
    if (size > TOTAL - used) return 2;
    size_t *block = malloc(size + 64);
    *block = size;
    used += size;
    live++;
    *address = (uint64_t)block + 64;
    return 0;
}
int cuMemFree(uint64_t address) {
    ENTER_CURRENT;
    size_t *block = (size_t *)(address - 64);
    used -= *block;
    live--;
    free(block);
    return 0;
}
int cuMemHostAlloc(void **address, size_t size, unsigned flags) {
    ENTER_CURRENT;
    *address = malloc(size);
    live++;
    return 0;
}
int cuMemFreeHost(void *address) { ENTER_CURRENT; free(address); live--; return 0; }
int cuStreamCreate(Stream **stream, unsigned flags) {
    ENTER_CURRENT;
    *stream = calloc(1, sizeof(Stream));
    live++;
    return flags == 1 ? 0 : 1;
}
int cuStreamDestroy(Stream *stream) { ENTER_CURRENT; free(stream); live--; return 0; }
int cuStreamSynchronize(Stream *stream) { ENTER_CURRENT; return stream->capturing ? 900 : 0; }
static int copy(void *to, const void *from, size_t size, Stream *stream) {
    if (!stream->capturing) memcpy(to, from, size);
    else if (stream->n < MOST) stream->copies[stream->n++] = (Copy){to, from, size};
    return 0;
}
int cuMemcpyHtoDAsync(uint64_t to, const void *from, size_t size, Stream *stream) {
    ENTER_CURRENT;
    return copy((void *)to, from, size, stream);
}
int cuMemcpyDtoHAsync(void *to, uint64_t from, size_t size, Stream *stream) {
    ENTER_CURRENT;
    return copy(to, (const void *)from, size, stream);
}
int cuStreamBeginCapture(Stream *stream, int mode) {
    ENTER_CURRENT;
    stream->capturing = 1;
    stream->n = 0;
    return mode == 1 ? 0 : 1; /* thread-local */
}
int cuStreamEndCapture(Stream *stream, Graph **graph) {
    stream->capturing = 0; /* also where it fails */
    ENTER_CURRENT;
    *graph = calloc(1, sizeof(Graph));
    memcpy((*graph)->copies, stream->copies, sizeof stream->copies);
    (*graph)->n = stream->n;
    live++;
    return 0;
}
int cuGraphInstantiateWithFlags(Graph **made, Graph *graph, unsigned long long flags) {
    ENTER_CURRENT;
    *made = malloc(sizeof(Graph));
    **made = *graph;
    live++;
    return 0;
}
int cuGraphLaunch(Graph *graph, Stream *stream) {
    ENTER_CURRENT;
    for (int i = 0; i < graph->n; i++)
        memcpy(graph->copies[i].to, graph->copies[i].from, graph->copies[i].size);
    return 0;
}
int cuGraphDestroy(Graph *graph) { ENTER_CURRENT; free(graph); live--; return 0; }
int cuGraphExecDestroy(Graph *graph) { ENTER_CURRENT; free(graph); live--; return 0; }
int cuGetErrorString(int code, const char **text) {
    *text = code == 2 ? "out of memory" : "stub error";
    return 0;
}

/* The names that a program linked against the library calls, as pycuda is. */
#define ALSO_V2(name) __typeof__(name) name##_v2 __attribute__((alias(#name)));
ALSO_V2(cuDeviceTotalMem)
ALSO_V2(cuDevicePrimaryCtxRelease)
ALSO_V2(cuCtxPushCurrent)
ALSO_V2(cuCtxPopCurrent)
ALSO_V2(cuMemGetInfo)
ALSO_V2(cuMemAlloc)
ALSO_V2(cuMemFree)
ALSO_V2(cuMemcpyHtoDAsync)
ALSO_V2(cuMemcpyDtoHAsync)
ALSO_V2(cuStreamDestroy)

int cuGetProcAddress_v2(
    const char *symbol, void **address, int version, uint64_t flags, int *status) {
    *address = dlsym(RTLD_DEFAULT, symbol);
    if (!*address) {
        Dl_info self;
        dladdr((void *)&live, &self);
        void *library = dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
        *address = library ? dlsym(library, symbol) : NULL;
    }
    if (status) *status = *address ? 0 : 1;
    return *address ? 0 : 500;
}
