/* What only TLS 1.3 has, on a second connection, and what became of each call of one side: tls13 WHAT SIDE OTHER
 * CERTIFICATE. WHAT: `early` data over the session that the first connection left, or authentication `later`, which the
 * server asks for on a connection that stands. SIDE: whose calls are told, `client` or `server`. OTHER: what the other
 * side does, `answers` or `stalls`, which is in the middle of what it has to say. The tests read these lines: name,
 * milliseconds, result, how OpenSSL explains it, errno. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static SSL_SESSION *session;
static struct sockaddr_in inet = {.sin_family = AF_INET};
static int listener, tells, stalls, later;
static const char *certificate;

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* The result counts as OpenSSL's other calls do: 0 of these is a failure. */
static int tell(const char *name, double began, SSL *ssl, int result) {
    static const char *const meanings[] = {"", "ssl", "want read", "want write", "lookup", "syscall", "zero return"};
    int error = errno, meaning = SSL_get_error(ssl, result);
    if (tells) {
        printf("%s|%.1f|%d|%s|%d\n", name, now_ms() - began, result > 0 ? result : -1,
               meaning < 7 ? meanings[meaning] : "other", result > 0 ? 0 : error);
        fflush(stdout);
    }
    return result;
}

#define TELL(name, ssl, call) (began = now_ms(), errno = 0, tell(name, began, ssl, call))

static int keep(SSL *ssl, SSL_SESSION *given) {
    (void)ssl;
    session = given;
    return 1;
}

static void fail(const char *what) {
    fprintf(stderr, "tls13: %s\n", what);
    exit(1);
}

static SSL *over(SSL_CTX *context, int fd) {
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    return ssl;
}

static SSL *dial(SSL_CTX *context) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&inet, sizeof inet))
        fail("connect");
    return over(context, fd);
}

static void use_certificate(SSL_CTX *context) {
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, certificate, SSL_FILETYPE_PEM) != 1)
        fail("the certificate");
}

/* Writes what `ssl` says from here on into memory. */
static BIO *hold_back(SSL *ssl) {
    BIO *memory = BIO_new(BIO_s_mem());
    SSL_set0_wbio(ssl, memory);
    return memory;
}

/* Of that the first record only, and no more. */
static void send_a_record(BIO *memory, int fd) {
    unsigned char *bytes;
    long size = BIO_get_mem_data(memory, (char **)&bytes), record = size > 5 ? 5 + bytes[3] * 256 + bytes[4] : 0;
    if (record == 0 || record >= size || write(fd, bytes, (size_t)record) != record)
        fail("no half of it");
    pause();
}

/* --- authentication after the handshake --- */

static void authenticate_client(SSL_CTX *context) {
    char buffer[1000];
    double began;
    use_certificate(context);
    SSL_CTX_set_post_handshake_auth(context, 1);
    SSL *ssl = dial(context);
    TELL("handshake", ssl, SSL_connect(ssl));
    TELL("read", ssl, SSL_read(ssl, buffer, sizeof buffer));
    if (!tells && stalls) {
        BIO *memory = hold_back(ssl);
        fcntl(SSL_get_rfd(ssl), F_SETFL, O_NONBLOCK);
        while (BIO_ctrl_pending(memory) == 0)
            SSL_read(ssl, buffer, sizeof buffer);
        send_a_record(memory, SSL_get_rfd(ssl));
    }
    TELL("read", ssl, SSL_read(ssl, buffer, sizeof buffer));
    TELL("write", ssl, SSL_write(ssl, buffer, 5));
}

/* Names of authorities, so many that they fill several records. */
static void name_authorities(SSL_CTX *context) {
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    for (int i = 0; i < 100; i++) {
        X509_NAME *name = X509_NAME_new();
        char text[40];
        snprintf(text, sizeof text, "An authority with the number %d", i);
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (unsigned char *)text, -1, -1, 0);
        sk_X509_NAME_push(names, name);
    }
    SSL_CTX_set_client_CA_list(context, names);
}

static int accept_anyone(int preverified, X509_STORE_CTX *context) {
    (void)preverified, (void)context;
    return 1;
}

static void authenticate_server(SSL_CTX *context) {
    char buffer[1000];
    double began;
    int fd = accept(listener, NULL, NULL);
    name_authorities(context);
    SSL *ssl = over(context, fd);
    SSL_set_max_send_fragment(ssl, 512);
    TELL("accept", ssl, SSL_accept(ssl));
    TELL("write", ssl, SSL_write(ssl, "hello", 5));
    SSL_set_verify(ssl, SSL_VERIFY_PEER, accept_anyone);
    BIO *memory = !tells && stalls ? hold_back(ssl) : NULL;
    if (SSL_verify_client_post_handshake(ssl) != 1)
        fail("cannot ask for a certificate");
    TELL("ask", ssl, SSL_do_handshake(ssl));
    if (memory)
        send_a_record(memory, fd);
    TELL("write", ssl, SSL_write(ssl, "again", 5));
    TELL("read", ssl, SSL_read(ssl, buffer, sizeof buffer));
    if (!SSL_get_peer_certificate(ssl) && tells && !stalls)
        fail("no certificate");
}

/* --- early data --- */

static void be_client(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    char buffer[1000];
    double began;
    size_t done;
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep);
    if (later) {
        authenticate_client(context);
        return;
    }
    SSL *first = dial(context), *ssl;
    if (SSL_connect(first) != 1 || SSL_read(first, buffer, sizeof buffer) != 5 || !session)
        fail("the first connection");
    SSL_shutdown(first);
    ssl = dial(context);
    SSL_set_session(ssl, session);
    if (!tells && stalls) { /* half of what it says: no end of early data, no Finished */
        SSL_write_early_data(ssl, "early", 5, &done);
        pause();
    }
    if (TELL("write early", ssl, SSL_write_early_data(ssl, "early", 5, &done)) <= 0 ||
        TELL("handshake", ssl, SSL_connect(ssl)) <= 0)
        return;
    if (TELL("read", ssl, SSL_read_ex(ssl, buffer, sizeof buffer, &done)) > 0 &&
        (done != 5 || memcmp(buffer, "early", 5)))
        fail("another answer");
    TELL("bye", ssl, SSL_shutdown(ssl) < 0 ? -1 : 1);
}

static void be_server(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    char buffer[1000];
    double began;
    size_t done, early = 0;
    int status;
    use_certificate(context);
    if (later) {
        authenticate_server(context);
        return;
    }
    SSL_CTX_set_max_early_data(context, 10000);
    SSL *first = over(context, accept(listener, NULL, NULL));
    if (SSL_accept(first) != 1 || SSL_write(first, "hello", 5) != 5)
        fail("the first connection");
    int fd = accept(listener, NULL, NULL);
    SSL *ssl = over(context, fd);
    if (!tells && stalls)
        pause();
    do {
        began = now_ms();
        errno = 0;
        status = SSL_read_early_data(ssl, buffer + early, sizeof buffer - early, &done);
        tell("read early", began, ssl, status == SSL_READ_EARLY_DATA_ERROR ? 0 : 1);
        early += status == SSL_READ_EARLY_DATA_SUCCESS ? done : 0;
    } while (status == SSL_READ_EARLY_DATA_SUCCESS);
    if (status == SSL_READ_EARLY_DATA_ERROR)
        return;
    if (early != 5 || memcmp(buffer, "early", 5))
        fail("other early data");
    TELL("accept", ssl, SSL_accept(ssl));
    TELL("write", ssl, SSL_write_ex(ssl, buffer, early, &done));
    SSL_read_ex(ssl, buffer, sizeof buffer, &done);
}

int main(int argc, char **argv) {
    if (argc != 5)
        return 2;
    socklen_t len = sizeof inet;
    int client = !strcmp(argv[2], "client");
    stalls = !strcmp(argv[3], "stalls");
    later = !strcmp(argv[1], "later");
    certificate = argv[4];
    signal(SIGPIPE, SIG_IGN);
    inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&inet, len) || listen(listener, 10) ||
        getsockname(listener, (struct sockaddr *)&inet, &len))
        fail("listen");
    pid_t other = fork();
    tells = other != 0;
    if (!tells)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    client == tells ? be_client() : be_server();
    if (other)
        kill(other, SIGKILL);
    return 0;
}
