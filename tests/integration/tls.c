/* Makes TLS calls by name on one connection, with OpenSSL or GnuTLS, and tells of each: its name, milliseconds, what it
 * returned, how the library explains it, and errno: tls LIBRARY WAIT PORT STEP... LIBRARY: `openssl`, `gnutls`, each
 * with `-dtls` for DTLS over a stream; OpenSSL with a transport of our own, `own`, one that reads ahead, `buffered`, or
 * one that connects by itself, `connecting`. In the environment: SLOW, how many milliseconds a callback takes; ASK, how
 * many the program takes to find a certificate; VERSION, no TLS 1.3. WAIT: `block`, or for a non-blocking socket
 * `poll`, `select`, `epoll`, `edge` (an edge-triggered epoll), `sleep` (no wait at all, a nap between two calls). The
 * tests read these lines. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/dtls.h>
#include <gnutls/gnutls.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int fd, port;
static const char *way;
static char buffer[1 << 20];
static SSL *ssl;
static gnutls_session_t session;

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int connect_to(void) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int made = socket(AF_INET, SOCK_STREAM, 0);
    return connect(made, (struct sockaddr *)&to, sizeof to) ? -1 : made;
}

/* --- one call, and what it says --- */

struct said {
    long result;
    const char *meaning; /* "", "want read", "want write", or how it failed */
};

static const char *openssl_meaning(int result) {
    static const char *const meanings[] = {"", "ssl", "want read", "want write", "lookup", "syscall", "zero return"};
    int error = SSL_get_error(ssl, result);
    return error < 7 ? meanings[error] : "other";
}

static struct said openssl_call(const char *name) {
    long result = !strcmp(name, "handshake") ? SSL_connect(ssl)
                  : !strcmp(name, "do")      ? SSL_do_handshake(ssl)
                  : !strcmp(name, "recv")    ? SSL_read(ssl, buffer, 1000)
                  : !strcmp(name, "peek")    ? SSL_peek(ssl, buffer, 1000)
                  : !strcmp(name, "send")    ? SSL_write(ssl, "hello", 5)
                  : !strcmp(name, "upload")  ? SSL_write(ssl, buffer, sizeof buffer)
                  : !strcmp(name, "pending") ? SSL_pending(ssl)
                  : !strcmp(name, "clear")   ? (ERR_clear_error(), 1)
                                             : SSL_shutdown(ssl);
    int error = errno;
    struct said said = {result, openssl_meaning((int)result)};
    if (!strcmp(name, "bye") && result == 0)
        said.meaning = "";
    errno = error;
    return said;
}

static struct said gnutls_call(const char *name) {
    long result = !strcmp(name, "handshake") ? gnutls_handshake(session)
                  : !strcmp(name, "recv")    ? gnutls_record_recv(session, buffer, 1000)
                  : !strcmp(name, "send")    ? gnutls_record_send(session, "hello", 5)
                  : !strcmp(name, "upload")  ? gnutls_record_send(session, buffer, 16384)
                  : !strcmp(name, "bye")     ? gnutls_bye(session, GNUTLS_SHUT_RDWR)
                                             : gnutls_bye(session, GNUTLS_SHUT_WR);
    int error = errno;
    bool again = result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED;
    struct said said = {result, again         ? gnutls_record_get_direction(session) ? "want write" : "want read"
                                : result >= 0 ? ""
                                              : gnutls_strerror_name((int)result)};
    errno = error;
    return said;
}

/* --- waiting between calls --- */

static void wait_for(short events) {
    struct pollfd pollfd = {.fd = fd, .events = events};
    struct epoll_event event = {.events = (uint32_t)events};
    struct timeval forever = {1000, 0};
    static int set = -1;
    fd_set fds;
    FD_ZERO(&fds);
    FD_SET(fd, &fds);
    if (!strcmp(way, "poll")) {
        poll(&pollfd, 1, -1);
    } else if (!strcmp(way, "select")) {
        select(fd + 1, events & POLLIN ? &fds : NULL, events & POLLOUT ? &fds : NULL, NULL, &forever);
    } else if (!strcmp(way, "epoll")) {
        if (set < 0 && (set = epoll_create1(0)) >= 0)
            epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
        epoll_ctl(set, EPOLL_CTL_MOD, fd, &event);
        epoll_wait(set, &event, 1, -1);
    } else if (!strcmp(way, "edge")) {
        event.events = EPOLLIN | EPOLLOUT | EPOLLET;
        if (set < 0 && (set = epoll_create1(0)) >= 0)
            epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
        epoll_wait(set, &event, 1, -1);
    } else {
        usleep(10000);
    }
}

/* What a program does within a handshake: it asks its user. */
static void nap(int ms) {
    usleep((useconds_t)ms * 1000);
}

static struct said call_until_done(struct said (*call)(const char *), const char *name) {
    for (;;) {
        struct said said = call(name);
        if (!strcmp(said.meaning, "lookup")) {
            nap(atoi(getenv("ASK")));
            continue;
        }
        if (strncmp(said.meaning, "want", 4))
            return said;
        if (!strcmp(way, "block") && call == openssl_call)
            return said;
        if (strcmp(way, "block")) /* GnuTLS also says so of a blocking socket, after a ticket */
            wait_for(!strcmp(said.meaning, "want read") ? POLLIN : POLLOUT);
    }
}

/* --- steps that are not one call --- */

static sigjmp_buf away;

static void jump(int number) {
    (void)number;
    siglongjmp(away, 1);
}

static void interrupt_after(int ms) {
    struct itimerval timer = {.it_value = {ms / 1000, ms % 1000 * 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* Leaves the handshake by a jump, then reads the descriptor itself, deeper down the stack than the handshake was. */
static __attribute__((noinline)) long read_below(void) {
    char room[20000];
    __asm__ volatile("" : : "r"(room) : "memory");
    return recv(fd, room, sizeof room, 0);
}

static long leave_and_read(struct said (*call)(const char *), const char *left) {
    signal(SIGALRM, jump);
    if (sigsetjmp(away, 1) == 0) {
        interrupt_after(150);
        call(left);
        return -2;
    }
    return read_below();
}

/* Leaves a call that waits by a jump, and goes on as if nothing had been. */
static long leave_only(struct said (*call)(const char *), const char *left) {
    signal(SIGALRM, jump);
    if (sigsetjmp(away, 1) == 0) {
        interrupt_after(150);
        call(left);
        return -2;
    }
    return 1;
}

/* A handler that talks to somebody else while the handshake waits. */
static long handler_result, handler_ms;

static void ask_another(int number) {
    (void)number;
    double began = now_ms();
    int other = connect_to();
    handler_result = recv(other, buffer, 100, 0);
    handler_ms = (long)(now_ms() - began);
    close(other);
}

static int verify(int preverified, X509_STORE_CTX *context) {
    (void)preverified, (void)context;
    if (!handler_ms)
        ask_another(0);
    return 1;
}

static int verify_slowly(int preverified, X509_STORE_CTX *context) {
    static bool asked;
    (void)preverified, (void)context;
    if (!asked)
        nap(atoi(getenv("SLOW")));
    asked = true;
    return 1;
}

/* Asks outside the call: SSL_ERROR_WANT_X509_LOOKUP until the certificate is there. In the end there is none. */
static int ask_for_certificate(SSL *asking, X509 **certificate, EVP_PKEY **key) {
    static int asked;
    (void)asking, (void)certificate, (void)key;
    return asked++ ? 0 : -1;
}

static void *cancelled(void *call) {
    ((struct said(*)(const char *))call)("handshake");
    return NULL;
}

static long cancel(struct said (*call)(const char *)) {
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, cancelled, (void *)call);
    usleep(100000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    return result == PTHREAD_CANCELED ? 1 : 0;
}

/* A thread that writes until it fails, and what became of it. */
static pthread_t writer;
static struct said written;
static int written_errno;

static void *write_on(void *argument) {
    struct said (*call)(const char *) = (struct said(*)(const char *))argument;
    do {
        written = call("upload");
        written_errno = errno;
    } while (written.result > 0);
    return NULL;
}

static long start_writer(struct said (*call)(const char *)) {
    pthread_create(&writer, NULL, write_on, (void *)call);
    return usleep(400000);
}

static struct said join_writer(void) {
    pthread_join(writer, NULL);
    errno = written_errno;
    return written;
}

static struct said special(struct said (*call)(const char *), const char *name) {
    if (!strcmp(name, "leave"))
        return (struct said){leave_and_read(call, "handshake"), ""};
    if (!strcmp(name, "leave-recv"))
        return (struct said){leave_and_read(call, "recv"), ""};
    if (!strcmp(name, "jump"))
        return (struct said){leave_only(call, "recv"), ""};
    if (!strcmp(name, "cancel"))
        return (struct said){cancel(call), ""};
    if (!strcmp(name, "handler")) {
        signal(SIGALRM, ask_another);
        interrupt_after(50);
        return call("handshake");
    }
    if (!strcmp(name, "asked"))
        return (struct said){handler_result, handler_ms >= 900 ? "waited" : "did not wait"};
    if (!strcmp(name, "write"))
        return (struct said){start_writer(call), ""};
    if (!strcmp(name, "join"))
        return join_writer();
    if (!strcmp(name, "pause"))
        return (struct said){usleep(500000), ""};
    return (struct said){0, NULL};
}

/* A transport of our own, as libcurl's: OpenSSL knows no descriptor. */
static int own_write(BIO *bio, const char *data, int size) {
    ssize_t sent = send(fd, data, (size_t)size, 0);
    BIO_clear_retry_flags(bio);
    if (sent < 0 && errno == EAGAIN)
        BIO_set_retry_write(bio);
    return (int)sent;
}

static int own_read(BIO *bio, char *data, int size) {
    ssize_t got = recv(fd, data, (size_t)size, 0);
    BIO_clear_retry_flags(bio);
    if (got < 0 && errno == EAGAIN)
        BIO_set_retry_read(bio);
    return (int)got;
}

static long own_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO *own_bio(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_MEM, "own");
    BIO_meth_set_write(method, own_write);
    BIO_meth_set_read(method, own_read);
    BIO_meth_set_ctrl(method, own_control);
    BIO *bio = BIO_new(method);
    BIO_set_init(bio, 1);
    return bio;
}

/* One that connects by itself, in the middle of the handshake. */
static BIO *connecting_bio(void) {
    char name[32];
    close(fd);
    snprintf(name, sizeof name, "127.0.0.1:%d", port);
    return BIO_new_connect(name);
}

static void begin_openssl(const char *transport) {
    const bool dtls = !strcmp(transport, "openssl-dtls");
    SSL_CTX *context = SSL_CTX_new(dtls ? DTLS_client_method() : TLS_client_method());
    if (getenv("VERIFY"))
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, verify);
    if (getenv("SLOW"))
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, verify_slowly);
    if (getenv("ASK"))
        SSL_CTX_set_client_cert_cb(context, ask_for_certificate);
    if (getenv("VERSION"))
        SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    ssl = SSL_new(context);
    BIO *bio = !strcmp(transport, "own")          ? own_bio()
               : !strcmp(transport, "connecting") ? connecting_bio()
               : !strcmp(transport, "buffered")   ? BIO_push(BIO_new(BIO_f_buffer()), BIO_new_socket(fd, BIO_NOCLOSE))
                                                  : NULL;
    bio ? SSL_set_bio(ssl, bio, bio) : (void)SSL_set_fd(ssl, fd);
    SSL_set_connect_state(ssl);
}

static int verify_session_slowly(gnutls_session_t verified) {
    (void)verified;
    nap(atoi(getenv("SLOW")));
    return 0;
}

static void begin_gnutls(bool dtls) {
    gnutls_certificate_credentials_t credentials;
    gnutls_certificate_allocate_credentials(&credentials);
    gnutls_init(&session, GNUTLS_CLIENT | (dtls ? GNUTLS_DATAGRAM : 0) | (strcmp(way, "block") ? GNUTLS_NONBLOCK : 0));
    if (getenv("VERSION"))
        gnutls_priority_set_direct(session, "NORMAL:-VERS-TLS1.3", NULL);
    else
        gnutls_set_default_priority(session);
    if (getenv("SLOW"))
        gnutls_session_set_verify_function(session, verify_session_slowly);
    if (dtls)
        gnutls_dtls_set_timeouts(session, 300, 1500);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_transport_set_int(session, fd);
    if (getenv("TIMEOUT")) /* it polls before each read then */
        gnutls_handshake_set_timeout(session, (unsigned)atoi(getenv("TIMEOUT")));
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    bool openssl = strncmp(argv[1], "gnutls", 6);
    way = argv[2];
    port = atoi(argv[3]);
    signal(SIGPIPE, SIG_DFL);
    fd = connect_to();
    if (strcmp(way, "block"))
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    openssl ? begin_openssl(argv[1]) : begin_gnutls(!strcmp(argv[1], "gnutls-dtls"));
    struct said (*call)(const char *) = openssl ? openssl_call : gnutls_call;
    for (int i = 4; i < argc; i++) {
        double began = now_ms();
        errno = 0;
        struct said said = special(call, argv[i]);
        if (!said.meaning)
            said = call_until_done(call, argv[i]);
        int error = errno;
        printf("%s|%.1f|%ld|%s|%d\n", argv[i], now_ms() - began, said.result, said.meaning,
               said.result > 0 ? 0 : error);
        fflush(stdout);
    }
    return 0;
}
