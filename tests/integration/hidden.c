/* A handshake in the middle of a connection that does not come to its end: hidden MODE PEM. Prints what the call
 * that it hides in came to and when: result, OpenSSL's error, errno, milliseconds; and what another call gives. MODE:
 *   asked         the server asks for a new handshake and answers nothing more; in SSL_read
 *   read, write   the client begins one that is not answered; in SSL_read, SSL_write
 *   update        the client changes its keys while there is no room to say so; in SSL_write
 *   verify        the server wants the client's certificate after the handshake and gets the first record of it;
 *                 in its SSL_read */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int listener;
static struct sockaddr_in at;
static const char *mode, *pem;

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void check(int good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "hidden: %s failed\n", what);
    exit(3);
}

static int is(const char *name) {
    return !strcmp(mode, name);
}

static SSL *new_ssl(const SSL_METHOD *method) {
    SSL_CTX *context = SSL_CTX_new(method);
    check(SSL_CTX_use_certificate_file(context, pem, SSL_FILETYPE_PEM) == 1 &&
              SSL_CTX_use_PrivateKey_file(context, pem, SSL_FILETYPE_PEM) == 1,
          "the certificate");
    if (!is("update") && !is("verify"))
        SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_post_handshake_auth(context, 1);
    return SSL_new(context);
}

/* Room does not grow later. */
static int new_socket(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), size = 20000;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return fd;
}

static int connected(void) {
    int fd = new_socket();
    check(connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "connect");
    return fd;
}

/* --- the side that does not answer --- */

static void *serve(void *unused) {
    SSL *ssl = new_ssl(TLS_server_method());
    SSL_set_fd(ssl, accept(listener, NULL, NULL));
    check(SSL_accept(ssl) == 1 && SSL_write(ssl, "x", 1) == 1, "the server");
    if (is("asked"))
        check(SSL_renegotiate(ssl) == 1 && SSL_do_handshake(ssl) == 1, "the server's new handshake");
    sleep(20);
    return unused;
}

static void take(int fd, BIO *in) {
    char bytes[16384];
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got > 0)
        BIO_write(in, bytes, (int)got);
    else
        sleep(20);
}

/* Sends what the client has to say, or the first record of it. */
static void give(int fd, BIO *out, int all) {
    unsigned char bytes[16384];
    int size = BIO_read(out, bytes, sizeof bytes);
    if (size > 5 && !all)
        size = 5 + bytes[3] * 256 + bytes[4];
    if (size > 0)
        check(send(fd, bytes, (size_t)size, 0) == size, "send");
}

static void *talk(void *unused) {
    char byte;
    int fd = connected();
    SSL *ssl = new_ssl(TLS_client_method());
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    while (SSL_connect(ssl) != 1) {
        give(fd, out, 1);
        take(fd, in);
    }
    SSL_write(ssl, "x", 1);
    give(fd, out, 1);
    while (BIO_ctrl_pending(out) == 0) {
        take(fd, in);
        SSL_read(ssl, &byte, 1);
    }
    give(fd, out, 0);
    sleep(20);
    return unused;
}

/* --- the side that is asked about --- */

static SSL *begin(void) {
    pthread_t thread;
    char byte;
    int serves = is("verify");
    pthread_create(&thread, NULL, serves ? talk : serve, NULL);
    SSL *ssl = new_ssl(serves ? TLS_server_method() : TLS_client_method());
    SSL_set_fd(ssl, serves ? accept(listener, NULL, NULL) : connected());
    check((serves ? SSL_accept(ssl) : SSL_connect(ssl)) == 1 && SSL_read(ssl, &byte, 1) == 1, "the handshake");
    return ssl;
}

static int accept_any(int good, X509_STORE_CTX *context) {
    (void)good, (void)context;
    return 1;
}

static void fill(int fd) {
    static char bytes[1000];
    for (int stuck = 0; stuck < 20;) {
        ssize_t sent = send(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        check(sent > 0 || errno == EAGAIN, "send");
        stuck = sent > 0 ? 0 : stuck + 1;
        if (sent < 0)
            usleep(10000);
    }
}

static void prepare(SSL *ssl) {
    if (is("read") || is("write"))
        check(SSL_renegotiate(ssl) == 1, "SSL_renegotiate");
    if (is("update")) {
        check(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1, "SSL_key_update");
        fill(SSL_get_fd(ssl));
    }
    if (is("verify")) {
        SSL_set_verify(ssl, SSL_VERIFY_PEER, accept_any);
        check(SSL_verify_client_post_handshake(ssl) == 1 && SSL_do_handshake(ssl) == 1, "the request");
    }
}

int main(int argc, char **argv) {
    socklen_t length = sizeof at;
    char byte;
    if (argc != 3)
        return 2;
    mode = argv[1];
    pem = argv[2];
    at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listener = new_socket();
    bind(listener, (struct sockaddr *)&at, sizeof at);
    listen(listener, 5);
    getsockname(listener, (struct sockaddr *)&at, &length);
    SSL *ssl = begin();
    prepare(ssl);
    double began = now_ms();
    errno = 0;
    int result = is("write") || is("update") ? SSL_write(ssl, "y", 1) : SSL_read(ssl, &byte, 1), error = errno;
    double ms = now_ms() - began;
    int explained = SSL_get_error(ssl, result), again = SSL_read(ssl, &byte, 1);
    printf("%d %d %s %d %d\n", result, explained, strerrorname_np(error), (int)ms, again);
    return 0;
}
