/* Stands between the library and the functions of libc that only few processes call (later_calls.def): when the library
 * is linked, the calls in it, in the resolver and in c-ares are renamed to these. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <link.h>
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/compiler.h"
#include "shim/own_calls.h"

/* Threads that are here at once write the same. */
static ND_COLD void *find(void **function, const char *name) {
    void *found = nd_own_calls_find(name);
    if (!found)
        found = dlsym(RTLD_DEFAULT, name); /* the C library has no table that can be read */
    __atomic_store_n(function, found, __ATOMIC_RELAXED);
    return found;
}

#define ND_LATER(name, type, params, args)                                                                             \
    type __wrap_##name params;                                                                                         \
    type __wrap_##name params {                                                                                        \
        static void *libcs ND_WRITTEN_AT_START;                                                                        \
        void *function = __atomic_load_n(&libcs, __ATOMIC_RELAXED);                                                    \
        if (nd_unlikely(!function))                                                                                    \
            function = find(&libcs, #name);                                                                            \
        return ((type(*) params)function)args;                                                                         \
    }
#include "shim/later_calls.def"
#undef ND_LATER

int __wrap_snprintf(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int __wrap_snprintf(char *text, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, size, format, arguments);
    va_end(arguments);
    return length;
}

int __wrap___sprintf_chk(char *text, int flags, size_t room, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int __wrap___sprintf_chk(char *text, int flags, size_t room, const char *format, ...) {
    va_list arguments;
    (void)flags;
    va_start(arguments, format);
    const int length = vsnprintf(text, room, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length >= room)
        abort();
    return length;
}

void *__wrap___memcpy_chk(void *to, const void *from, size_t size, size_t room);
void *__wrap___memcpy_chk(void *to, const void *from, size_t size, size_t room) {
    if (size > room)
        abort();
    return memcpy(to, from, size);
}

long __wrap___fdelt_chk(long fd);
long __wrap___fdelt_chk(long fd) {
    if (fd < 0 || fd >= FD_SETSIZE)
        abort();
    return fd / NFDBITS;
}
