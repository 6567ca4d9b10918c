/* Included before the test programs that are built for musl, too: what musl lacks, or names otherwise. */
#include <dlfcn.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The library's, where it is loaded. */
static inline int musl_epoll_pwait2(int epfd, struct epoll_event *events, int count, const struct timespec *timeout,
                                    const sigset_t *mask) {
    int (*made)(int, struct epoll_event *, int, const struct timespec *, const sigset_t *);
    *(void **)&made = dlsym(RTLD_DEFAULT, "epoll_pwait2");
    return made ? made(epfd, events, count, timeout, mask)
                : (int)syscall(SYS_epoll_pwait2, epfd, events, count, timeout, mask, _NSIG / 8);
}
#define epoll_pwait2 musl_epoll_pwait2

/* libc's own syscall, which no hook sees. */
static inline void musl_closefrom(int first) {
    long (*made)(long, ...);
    *(void **)&made = dlsym(dlopen("libc.so", RTLD_NOW), "syscall");
    made(SYS_close_range, first, ~0U, 0);
}
#define closefrom musl_closefrom

/* musl has these functions since 1.2.5; by number they are the same calls. */
#define preadv2(fd, iov, count, offset, flags) syscall(SYS_preadv2, fd, iov, count, (long)(offset), -1L, flags)
#define pwritev2(fd, iov, count, offset, flags) syscall(SYS_pwritev2, fd, iov, count, (long)(offset), -1L, flags)
