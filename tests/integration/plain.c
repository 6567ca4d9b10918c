/* What the tests of guard link statically: `plain ask PORT` asks a server and waits for its answer, `plain write PORT`
 * sends it lines now and then and reads nothing, `plain execute PROGRAM...` becomes another program, `plain self` tells
 * of itself: its process ID and its parent's, its descriptors and its children. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(void) {
    printf("%s\n", strerror(errno));
    return 1;
}

static int ask(int fd) {
    char answer;
    if (send(fd, "x", 1, 0) != 1 || recv(fd, &answer, 1, 0) != 1)
        return fail();
    printf("answered\n");
    return 0;
}

static int write_lines(int fd) {
    for (int i = 0; i < 3; i++) {
        if (send(fd, "x\n", 2, MSG_NOSIGNAL) != 2)
            return fail();
        usleep(i == 0 ? 2200000 : 200000);
    }
    printf("written\n");
    return 0;
}

static int with_server(int port, int (*act)(int fd)) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? act(fd) : fail();
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
        return with_server(atoi(arguments[2]), ask);
    if (count > 2 && strcmp(arguments[1], "write") == 0)
        return with_server(atoi(arguments[2]), write_lines);
    if (count > 2 && strcmp(arguments[1], "execute") == 0)
        return execvp(arguments[2], arguments + 2);
    return tell();
}
