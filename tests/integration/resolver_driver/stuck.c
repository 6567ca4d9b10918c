/* An NSS module whose lookups never end. */
#include <netdb.h>
#include <nss.h>
#include <unistd.h>

enum nss_status _nss_ndstuck_gethostbyname2_r(const char *name, int family, struct hostent *result, char *buffer,
                                              size_t size, int *error, int *h_error);

enum nss_status _nss_ndstuck_gethostbyname2_r(const char *name, int family, struct hostent *result, char *buffer,
                                              size_t size, int *error, int *h_error) {
    (void)name, (void)family, (void)result, (void)buffer, (void)size, (void)error, (void)h_error;
    for (;;)
        pause();
}
