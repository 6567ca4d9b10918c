/* sendfile, splice. */
#include <fcntl.h>
#include <pthread.h>

#include "base/libc.h"
#include "shim/call/transfer.h"
#include "shim/hook/hook.h"
#include "shim/socket/record.h"

/* Neither call is a cancellation point in musl, but the waits that are made in the kernel's place would be. */
ND_COLD static ssize_t transfer(const struct nd_transfer *call) {
    int state = PTHREAD_CANCEL_ENABLE;
    if (nd_libc_is_musl())
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    const ssize_t done = nd_transfer(call);
    if (nd_libc_is_musl())
        pthread_setcancelstate(state, NULL);
    return done;
}

static long make_sendfile(const struct nd_transfer *call) {
    return nd_real.sendfile(call->out, call->in, call->first, call->count);
}

ND_COLD static ssize_t sendfile_watched(int out, int in, off_t *offset, size_t count) {
    return transfer(
        &(struct nd_transfer){ND_OPERATION_sendfile, out, ND_OUT, make_sendfile, in, out, offset, NULL, count, 0, 0});
}

ssize_t nd_hook_sendfile(int out, int in, off_t *offset, size_t count) {
    if (nd_unlikely(nd_watch(out) & ND_WATCH_OUT))
        return sendfile_watched(out, in, offset, count);
    return nd_transfer_unbounded(out, nd_real.sendfile(out, in, offset, count));
}

static long make_sendfile64(const struct nd_transfer *call) {
    return nd_real.sendfile64(call->out, call->in, call->first, call->count);
}

ND_COLD static ssize_t sendfile64_watched(int out, int in, off64_t *offset, size_t count) {
    return transfer(&(struct nd_transfer){ND_OPERATION_sendfile64, out, ND_OUT, make_sendfile64, in, out, offset, NULL,
                                          count, 0, 0});
}

ssize_t nd_hook_sendfile64(int out, int in, off64_t *offset, size_t count) {
    if (nd_unlikely(nd_watch(out) & ND_WATCH_OUT))
        return sendfile64_watched(out, in, offset, count);
    return nd_transfer_unbounded(out, nd_real.sendfile64(out, in, offset, count));
}

static long make_splice(const struct nd_transfer *call) {
    return nd_real.splice(call->in, call->first, call->out, call->second, call->count, (unsigned)call->flags);
}

/* A later piece does not wait for the pipe: the plain call returns once it has moved bytes. */
ND_COLD static ssize_t splice_watched(enum nd_direction direction, int in, off64_t *in_offset, int out,
                                      off64_t *out_offset, size_t count, int flags) {
    return transfer(&(struct nd_transfer){ND_OPERATION_splice, direction == ND_OUT ? out : in, direction, make_splice,
                                          in, out, in_offset, out_offset, count, flags, flags | SPLICE_F_NONBLOCK});
}

/* SPLICE_F_NONBLOCK applies to the pipe only: the kernel waits for a TCP socket all the same. */
ssize_t nd_hook_splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t count, unsigned flags) {
    if (nd_unlikely(nd_watch(out) & ND_WATCH_OUT))
        return splice_watched(ND_OUT, in, in_offset, out, out_offset, count, (int)flags);
    if (nd_unlikely(nd_watch(in) & ND_WATCH_IN))
        return splice_watched(ND_IN, in, in_offset, out, out_offset, count, (int)flags);
    return nd_transfer_unbounded(out, nd_real.splice(in, in_offset, out, out_offset, count, flags));
}
