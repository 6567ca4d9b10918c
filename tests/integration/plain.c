/* What the tests of guard link statically: `plain ask PORT` asks a server and waits for its answer, `plain execute
 * PROGRAM...` becomes another program, `plain self` tells of itself: its process ID and its parent's, its descriptors
 * and its children. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int ask(int port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char answer;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || send(fd, "x", 1, 0) != 1 ||
        recv(fd, &answer, 1, 0) != 1) {
        printf("%s\n", strerror(errno));
        return 1;
    }
    printf("answered\n");
    return 0;
}

static int tell(void) {
    char path[64], children[256] = "";
    DIR *directory = opendir("/proc/self/fd");
    printf("%d %d\n", (int)getpid(), (int)getppid());
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory))
            printf("%s ", entry->d_name);
    closedir(directory);
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "r");
    if (file && !fgets(children, sizeof children, file))
        children[0] = '\0';
    printf("\n%s\n", children);
    return 7;
}

int main(int count, char **arguments) {
    setbuf(stdout, NULL);
    if (count > 2 && strcmp(arguments[1], "ask") == 0)
        return ask(atoi(arguments[2]));
    if (count > 2 && strcmp(arguments[1], "execute") == 0)
        return execvp(arguments[2], arguments + 2);
    return tell();
}
