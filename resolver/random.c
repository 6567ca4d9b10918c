#include "resolver/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#ifndef SYS_getrandom
#if defined(__x86_64__)
#define SYS_getrandom 318
#elif defined(__i386__)
#define SYS_getrandom 355
#else
#define SYS_getrandom 278
#endif
#endif

static size_t from_urandom(unsigned char *buffer, size_t size) {
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, buffer, size);
    close(fd);
    return n > 0 ? (size_t)n : 0;
}

/* For kernels before 3.17 in a chroot without /dev: mixes address-space layout, pid and clock. This is weak, but the
 * source port that the kernel chooses is still random. */
static void from_mixing(unsigned char *buffer, size_t size) {
    uint64_t x = (uint64_t)nd_now() ^ ((uint64_t)(uintptr_t)&x << 16) ^ ((uint64_t)getpid() << 48);
    for (size_t i = 0; i < size; i++) {
        x += 0x9e3779b97f4a7c15u;
        uint64_t z = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        buffer[i] = (unsigned char)(z >> 56);
    }
}

void nd_random(void *buffer, size_t size) {
    int saved = errno;
    unsigned char *p = buffer;
    /* 1 is GRND_NONBLOCK; up to 256 bytes are never returned in part */
    long got = syscall(SYS_getrandom, p, size, 1);
    size_t n = got > 0 ? (size_t)got : from_urandom(p, size);
    if (n < size)
        from_mixing(p + n, size - n);
    errno = saved;
}
