/* What the C library at the release's floor (scripts/release) lacks, for the library, its command, and what is linked
 * into them. Where a call is only newer than the floor, the linker's --wrap lets the host's own be used if it has it:
 * __real_X is a weak reference, NULL on an older host. Everything is async-signal-safe but __wrap_getauxval. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "shim/raw.h"

#define HIDDEN __attribute__((visibility("hidden")))
#define WEAK __attribute__((weak))

/* glibc 2.17; before, in librt only. The host's is read from the kernel's page: a quarter of the system call's time. */
extern int __real_clock_gettime(clockid_t clock, struct timespec *ts) WEAK;
HIDDEN int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts) {
    if (__real_clock_gettime)
        return __real_clock_gettime(clock, ts);
    return (int)ND_RAW3(clock_gettime, clock, ts, 0);
}

/* glibc 2.16. A value that cannot be had is 0, as in glibc; but where nothing can be read, a program that runs with
 * another user's rights says so by itself. */
static unsigned long read_auxval(unsigned long type) {
    struct {
        unsigned long type, value;
    } entry;
    unsigned long value = 0;
    bool privileged = getuid() != geteuid() || getgid() != getegid();
    int saved = errno;
    int fd = (int)ND_RAW6(openat, AT_FDCWD, "/proc/self/auxv", O_RDONLY | O_CLOEXEC, 0, 0, 0);
    while (fd >= 0 && ND_RAW3(read, fd, &entry, sizeof entry) == (long)sizeof entry && entry.type != AT_NULL)
        if (entry.type == type)
            value = entry.value;
    if (fd >= 0)
        ND_RAW3(close, fd, 0, 0);
    errno = saved;
    if (type == AT_SECURE && privileged)
        value = 1;
    return value;
}

extern unsigned long __real_getauxval(unsigned long type) WEAK;
HIDDEN unsigned long __wrap_getauxval(unsigned long type);
unsigned long __wrap_getauxval(unsigned long type) {
    return __real_getauxval ? __real_getauxval(type) : read_auxval(type);
}

#if defined(__i386__)
/* glibc 2.28, whose headers give this name to fcntl where files have 64-bit offsets. The kernel's call has not changed. */
HIDDEN int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...) {
    va_list rest;
    va_start(rest, command);
    void *arg = va_arg(rest, void *);
    va_end(rest);
    return (int)nd_raw_fcntl64(fd, command, arg);
}
#endif

/* glibc 2.33; before, under the names with an x, which newer ones keep. */
#if defined(__i386__)
#define OLD_STAT(name) "__" name "64" /* with _FILE_OFFSET_BITS=64 */
#define PLAIN(name) name "64"
enum { STAT_VERSION = 3 };
#else
#define OLD_STAT(name) "__" name
#define PLAIN(name) name
#if defined(__x86_64__)
enum { STAT_VERSION = 1 };
#else
enum { STAT_VERSION = 0 };
#endif
#endif

extern int old_stat(int version, const char *path, struct stat *status) __asm__(OLD_STAT("xstat"));
extern int old_lstat(int version, const char *path, struct stat *status) __asm__(OLD_STAT("lxstat"));
extern int old_fstat(int version, int fd, struct stat *status) __asm__(OLD_STAT("fxstat"));
HIDDEN int compat_stat(const char *path, struct stat *status) __asm__(PLAIN("stat"));
HIDDEN int compat_lstat(const char *path, struct stat *status) __asm__(PLAIN("lstat"));
HIDDEN int compat_fstat(int fd, struct stat *status) __asm__(PLAIN("fstat"));

int compat_stat(const char *path, struct stat *status) {
    return old_stat(STAT_VERSION, path, status);
}

int compat_lstat(const char *path, struct stat *status) {
    return old_lstat(STAT_VERSION, path, status);
}

int compat_fstat(int fd, struct stat *status) {
    return old_fstat(STAT_VERSION, fd, status);
}

/* glibc 2.14. */
HIDDEN int compat_setns(int fd, int type) __asm__("setns");
int compat_setns(int fd, int type) {
    return (int)ND_RAW3(setns, fd, type, 0);
}

/* glibc 2.9. Only libunwind refers to it, in a part that is not used (shim/report/unwind.h). */
HIDDEN int compat_pipe2(int ends[2], int flags) __asm__("pipe2");
int compat_pipe2(int ends[2], int flags) {
    return (int)ND_RAW3(pipe2, ends, flags, 0);
}

extern int old_vsscanf(const char *text, const char *format, va_list args) __asm__("vsscanf");
extern int old_vfscanf(FILE *stream, const char *format, va_list args) __asm__("vfscanf");

/* glibc 2.7: scanf as C99 has it, which differs in %a only. */
#define SCANF(name, type)                                                                                              \
    HIDDEN int __isoc99_##name(type from, const char *format, ...);                                                    \
    int __isoc99_##name(type from, const char *format, ...) {                                                          \
        va_list args;                                                                                                  \
        va_start(args, format);                                                                                        \
        int taken = old_v##name(from, format, args);                                                                   \
        va_end(args);                                                                                                  \
        return taken;                                                                                                  \
    }
SCANF(sscanf, const char *)
SCANF(fscanf, FILE *)

/* glibc 2.15: the index of a descriptor's word in an fd_set, for code that was compiled to have it checked. */
HIDDEN long __fdelt_chk(long fd);
long __fdelt_chk(long fd) {
    if (fd < 0 || fd >= FD_SETSIZE)
        abort();
    return fd / NFDBITS;
}

/* glibc 2.15. */
#define OTHER_MEMORY(name)                                                                                             \
    HIDDEN ssize_t compat_##name(pid_t pid, const struct iovec *local, unsigned long local_count,                      \
                                 const struct iovec *remote, unsigned long remote_count,                               \
                                 unsigned long flags) __asm__(#name);                                                  \
    ssize_t compat_##name(pid_t pid, const struct iovec *local, unsigned long local_count, const struct iovec *remote, \
                          unsigned long remote_count, unsigned long flags) {                                           \
        return ND_RAW6(name, pid, local, local_count, remote, remote_count, flags);                                    \
    }
OTHER_MEMORY(process_vm_readv)
OTHER_MEMORY(process_vm_writev)

/* Part of libc since glibc 2.32, of libpthread before. On Linux it is sigprocmask, but for how it gives its error. */
HIDDEN int compat_sigmask(int how, const sigset_t *set, sigset_t *old) __asm__("pthread_sigmask");
int compat_sigmask(int how, const sigset_t *set, sigset_t *old) {
    int saved = errno;
    int error = sigprocmask(how, set, old) == 0 ? 0 : errno;
    errno = saved;
    return error;
}
