/* Stand-ins for unit tests: a clock that only the test moves, and a kernel whose sockets say what the test wants. To be
 * included by one file: it defines the clock and the start-up state, so that those objects are not linked. */
#pragma once

#include "base/clock.h"

nd_time nd_system_now(void);
nd_time nd_system_now_coarse(void);
#define nd_now nd_system_now
#define nd_now_coarse nd_system_now_coarse
#include "base/clock.c"
#undef nd_now
#undef nd_now_coarse

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/time.h>

#include "shim/mode.h"
#include "shim/real.h"
#include "shim/report/report.h"
#include "shim/settings/settings.h"
#include "shim/socket/record.h"

nd_time nd_now(void);
nd_time nd_now_coarse(void);

/* One socket option of the one fake socket. */
struct fake_option {
    int level, name;
    struct timeval value; /* an int stands in tv_sec */
    bool is_time;
};

static struct {
    nd_time now;
    struct fake_option options[16];
    int option_count, option_writes;
    bool options_fail;
    struct tcp_info info;
    uint64_t acked, received;     /* as the kernel counts bytes since Linux 4.2 */
    bool info_fails, info_denied; /* no TCP socket; a filter (ENOPROTOOPT), which leaves other signs of the state */
    bool old_info, unconnected;
    socklen_t info_length; /* an emulator passes on so many bytes; 0: all */
    int info_reads, queued, disconnects, refuse_disconnect;
    unsigned told; /* expiries reported */
    struct nd_event last;
} fake;

nd_time nd_now(void) {
    return fake.now;
}

nd_time nd_now_coarse(void) {
    return fake.now;
}

void nd_report_expiry(const struct nd_event *event) {
    fake.told++;
    fake.last = *event;
}

void nd_report_notice(const char *text) {
    (void)text;
}

static struct fake_option *fake_option(int level, int name) {
    for (int i = 0; i < fake.option_count; i++)
        if (fake.options[i].level == level && fake.options[i].name == name)
            return &fake.options[i];
    struct fake_option *made = &fake.options[fake.option_count++];
    bool is_time = level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO);
    *made = (struct fake_option){.level = level, .name = name, .is_time = is_time};
    return made;
}

static int fake_tcp_info(void *value, socklen_t *len) {
    fake.info_reads++;
    if (fake.info_fails) {
        errno = ENOTSOCK;
        return -1;
    }
    if (fake.info_denied) {
        errno = ENOPROTOOPT;
        return -1;
    }
    unsigned char raw[136] = {0};
    memcpy(raw, &fake.info, sizeof fake.info < 104 ? sizeof fake.info : 104);
    memcpy(raw + 120, &fake.acked, sizeof fake.acked);
    memcpy(raw + 128, &fake.received, sizeof fake.received);
    size_t size = fake.old_info ? 104 : sizeof raw;
    *len = *len < size ? *len : (socklen_t)size;
    if (fake.info_length && fake.info_length < *len)
        *len = fake.info_length;
    memcpy(value, raw, *len);
    return 0;
}

/* The kernel's getpeername, as the library calls it. */
int getpeername(int fd, struct sockaddr *addr, socklen_t *len) {
    (void)fd;
    if (fake.unconnected || fake.info_fails) {
        errno = ENOTCONN;
        return -1;
    }
    const struct sockaddr_in peer = {.sin_family = AF_INET};
    memcpy(addr, &peer, *len < sizeof peer ? *len : sizeof peer);
    *len = sizeof peer;
    return 0;
}

static int fake_getsockopt(int fd, int level, int name, void *value, socklen_t *len) {
    (void)fd;
    if (level == IPPROTO_TCP && name == TCP_INFO)
        return fake_tcp_info(value, len);
    if (fake.options_fail) {
        errno = ENOPROTOOPT;
        return -1;
    }
    const struct fake_option *option = fake_option(level, name);
    int number = (int)option->value.tv_sec;
    size_t size = option->is_time ? sizeof option->value : sizeof number;
    memcpy(value, option->is_time ? (const void *)&option->value : &number, *len < size ? *len : size);
    return 0;
}

static int fake_setsockopt(int fd, int level, int name, const void *value, socklen_t len) {
    (void)fd;
    if (fake.options_fail) {
        errno = ENOPROTOOPT;
        return -1;
    }
    struct fake_option *option = fake_option(level, name);
    fake.option_writes++;
    if (option->is_time) {
        memcpy(&option->value, value, len < sizeof option->value ? len : sizeof option->value);
    } else {
        int number = 0;
        memcpy(&number, value, len < sizeof number ? len : sizeof number);
        option->value.tv_sec = number;
    }
    return 0;
}

static int fake_ioctl(int fd, unsigned long request, void *arg) {
    (void)fd, (void)request;
    *(int *)arg = fake.queued;
    return 0;
}

static int fake_connect(int fd, const struct sockaddr *addr, socklen_t len) {
    (void)fd, (void)len;
    if (addr->sa_family != AF_UNSPEC || fake.refuse_disconnect) {
        errno = EBUSY;
        return -1;
    }
    fake.disconnects++;
    return 0;
}

/* Starts anew, with every limit off. */
static void fake_start(void) {
    memset(&fake, 0, sizeof fake);
    fake.now = 1000 * ND_SEC;
    fake.info.tcpi_state = TCP_ESTABLISHED;
    memset(&nd_settings, 0, sizeof nd_settings);
    nd_observing = false;
    nd_active = true;
    nd_real.getsockopt = fake_getsockopt;
    nd_real.setsockopt = fake_setsockopt;
    nd_real.ioctl = fake_ioctl;
    nd_real.connect = fake_connect;
}
