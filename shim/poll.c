#include "shim/poll.h"

#include <errno.h>
#include <string.h>

#include "base/compiler.h"
#include "shim/raw.h"
#include "shim/real.h"

/* Descriptors in a word of select's sets; words of a set that is on any stack, as a signal handler's; and the most. */
enum { WORD = 8 * sizeof(unsigned long), FEW_WORDS = 8192 / WORD, MOST_WORDS = 65536 / WORD };

/* `set` is of as many words as the descriptor asks for. */
static int select_in(struct pollfd *pollfd, nd_time timeout, unsigned long *set) {
    const struct timespec time = {(time_t)(timeout / ND_SEC), (long)(timeout % ND_SEC)};
    const unsigned fd = (unsigned)pollfd->fd;
    const bool out = pollfd->events & POLLOUT;
    memset(set, 0, (fd / WORD + 1) * sizeof *set);
    set[fd / WORD] = 1UL << (fd % WORD);
    const int ready =
        nd_real.pselect(pollfd->fd + 1, out ? NULL : (fd_set *)(void *)set, out ? (fd_set *)(void *)set : NULL, NULL,
                        timeout == ND_NEVER ? NULL : &time, NULL);
    pollfd->revents = (short)(ready > 0 ? pollfd->events : 0);
    return ready;
}

ND_COLD static int select_few(struct pollfd *pollfd, nd_time timeout) {
    unsigned long set[FEW_WORDS];
    return select_in(pollfd, timeout, set);
}

ND_COLD static int select_many(struct pollfd *pollfd, nd_time timeout) {
    unsigned long set[MOST_WORDS];
    return select_in(pollfd, timeout, set);
}

int nd_select_until(struct pollfd *pollfd, nd_time now, nd_time until) {
    const nd_time timeout = until == ND_NEVER ? ND_NEVER : until > now ? until - now : 0;
    const unsigned fd = (unsigned)pollfd->fd;
    if (fd >= MOST_WORDS * WORD || !(pollfd->events & (POLLIN | POLLOUT)))
        return -1;
    return fd < FEW_WORDS * WORD ? select_few(pollfd, timeout) : select_many(pollfd, timeout);
}

int nd_poll_until(struct pollfd *pollfd, nd_time now, nd_time until) {
    const int ready = nd_real.poll(pollfd, 1, nd_time_poll_ms(until, now));
    if (nd_likely(ready >= 0) || (errno == EINTR && until > now))
        return ready;
    return nd_select_until(pollfd, now, until);
}

int nd_pause(int ms) {
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    const int slept = nd_real.poll(NULL, 0, ms);
    return nd_likely(slept >= 0) ? slept : (int)ND_RAW3(nanosleep, &time, NULL, 0);
}
