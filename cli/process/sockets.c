#include "cli/process/sockets.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/process/array.h"
#include "shim/report/format.h"
#include "shim/report/format_peer.h"

enum { LISTENING = 10, MOST_NAMESPACES = 64 };

/* One socket of a namespace. */
struct entry {
    uint64_t inode;
    struct sockaddr_storage local, remote;
    socklen_t length; /* of each address; 0 for AF_UNIX without a name */
    bool listens;
};

static struct list {
    uint64_t net; /* the namespace's inode */
    struct entry *entries;
    size_t count, room;
} lists[MOST_NAMESPACES];
static int list_count;

static struct entry *add_entry(struct list *list) {
    if (!array_grow(&list->entries, list->count, &list->room, sizeof *list->entries, 256))
        return NULL;
    struct entry *entry = &list->entries[list->count++];
    memset(entry, 0, sizeof *entry);
    return entry;
}

/* Reads "0100007F:0050", in which the words of the address are printed as this machine has them in memory. Returns its
 * length, or 0. */
static socklen_t parse_address(const char *text, struct sockaddr_storage *out) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    uint32_t words[4];
    unsigned port;
    if (strcspn(text, ":") == 8 && sscanf(text, "%8" SCNx32 ":%4x", words, &port) == 2) {
        v4->sin_family = AF_INET;
        v4->sin_addr.s_addr = words[0];
        v4->sin_port = htons((uint16_t)port);
        return sizeof *v4;
    }
    if (sscanf(text, "%8" SCNx32 "%8" SCNx32 "%8" SCNx32 "%8" SCNx32 ":%4x", words, words + 1, words + 2, words + 3,
               &port) != 5)
        return 0;
    v6->sin6_family = AF_INET6;
    memcpy(&v6->sin6_addr, words, sizeof words);
    v6->sin6_port = htons((uint16_t)port);
    return sizeof *v6;
}

static void take_internet(struct list *list, const char *line, bool is_tcp) {
    char local[64], remote[64];
    unsigned state;
    uint64_t inode;
    if (sscanf(line, "%*s %63s %63s %x %*s %*s %*s %*s %*s %" SCNu64, local, remote, &state, &inode) != 4 || inode == 0)
        return;
    struct entry *entry = add_entry(list);
    if (!entry)
        return;
    entry->inode = inode;
    entry->length = parse_address(local, &entry->local);
    if (!entry->length || parse_address(remote, &entry->remote) != entry->length)
        entry->length = 0;
    entry->listens = is_tcp && state == LISTENING;
}

static void take_unix(struct list *list, const char *line) {
    uint64_t inode;
    unsigned flags;
    int path = 0;
    if (sscanf(line, "%*s %*s %*s %x %*s %*s %" SCNu64 " %n", &flags, &inode, &path) != 2 || inode == 0)
        return;
    struct entry *entry = add_entry(list);
    if (!entry)
        return;
    struct sockaddr_un *local = (struct sockaddr_un *)&entry->local;
    local->sun_family = AF_UNIX;
    entry->inode = inode;
    entry->listens = (flags & 0x10000) != 0; /* __SO_ACCEPTCON */
    size_t length = path ? strcspn(line + path, "\n") : 0;
    if (length == 0 || length >= sizeof local->sun_path)
        return;
    memcpy(local->sun_path, line + path, length);
    if (local->sun_path[0] == '@')
        local->sun_path[0] = '\0';
    entry->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static void read_list(struct list *list, pid_t pid, const char *name) {
    char path[64], *line = NULL;
    size_t room = 0;
    snprintf(path, sizeof path, "/proc/%d/net/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    for (bool first = true; getline(&line, &room, file) > 0; first = false) {
        if (first)
            continue;
        if (strcmp(name, "unix") == 0)
            take_unix(list, line);
        else
            take_internet(list, line, strncmp(name, "tcp", 3) == 0);
    }
    free(line);
    fclose(file);
}

static int by_inode(const void *a, const void *b) {
    uint64_t x = ((const struct entry *)a)->inode, y = ((const struct entry *)b)->inode;
    return x < y ? -1 : x > y;
}

static bool is_unix(const struct entry *entry) {
    return entry->local.ss_family == AF_UNIX;
}

static int by_inode_and_family(const void *a, const void *b) {
    int inodes = by_inode(a, b);
    return inodes ? inodes : is_unix(a) - is_unix(b);
}

/* Makes the list ready to be searched, with one entry for each socket. The name of an AF_UNIX socket, which the kernel
 * writes as it is, may have newlines in it, and what looks like the line of another socket: it does not take a
 * connection's place. */
static void finish_list(struct list *list) {
    size_t kept = 0;
    if (list->count > 0)
        qsort(list->entries, list->count, sizeof *list->entries, by_inode_and_family);
    for (size_t i = 0; i < list->count; i++)
        if (kept == 0 || list->entries[kept - 1].inode != list->entries[i].inode)
            list->entries[kept++] = list->entries[i];
    list->count = kept;
}

static const struct entry *find_entry(const struct list *list, uint64_t inode) {
    const struct entry key = {.inode = inode};
    return list->count ? bsearch(&key, list->entries, list->count, sizeof *list->entries, by_inode) : NULL;
}

/* The number in a link of /proc such as "socket:[123]", 0 if it is no such link. */
static uint64_t link_number(pid_t pid, const char *name, const char *kind) {
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length <= 0)
        return 0;
    target[length] = '\0';
    size_t prefix = strlen(kind);
    return strncmp(target, kind, prefix) == 0 ? strtoull(target + prefix, NULL, 10) : 0;
}

static const struct list *list_of(pid_t pid) {
    static const char *const names[] = {"tcp", "tcp6", "udp", "udp6", "unix"};
    uint64_t net = link_number(pid, "ns/net", "net:[");
    for (int i = 0; i < list_count; i++)
        if (lists[i].net == net)
            return &lists[i];
    if (list_count == MOST_NAMESPACES)
        socket_forget_lists();
    struct list *list = &lists[list_count++];
    *list = (struct list){.net = net};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        read_list(list, pid, names[i]);
    finish_list(list);
    return list;
}

static void describe(const struct entry *entry, struct socket_info *info) {
    char text[SOCKET_NAME - 16];
    struct nd_line line;
    const struct sockaddr *remote = (const struct sockaddr *)&entry->remote, *shown = remote;
    bool local_only = entry->listens || ((const struct sockaddr *)&entry->local)->sa_family == AF_UNIX;
    uint16_t port = remote->sa_family == AF_INET ? ((const struct sockaddr_in *)remote)->sin_port
                                                 : ((const struct sockaddr_in6 *)remote)->sin6_port;
    info->is_internet = remote->sa_family != AF_UNSPEC;
    info->is_connected = info->is_internet ? port != 0 : !entry->listens;
    if (local_only || !info->is_connected)
        shown = (const struct sockaddr *)&entry->local;
    nd_line_start(&line, text, sizeof text);
    if (entry->length == 0)
        nd_line_put(&line, "unix");
    else
        nd_format_put_peer(&line, shown, entry->length);
    snprintf(info->peer, sizeof info->peer, "%s%s",
             entry->listens                             ? "listening on "
             : info->is_internet && !info->is_connected ? "bound to "
                                                        : "",
             text);
}

int socket_look(pid_t pid, int fd, struct socket_info *info) {
    char name[32];
    snprintf(name, sizeof name, "fd/%d", fd);
    uint64_t inode = fd >= 0 ? link_number(pid, name, "socket:[") : 0;
    if (!inode)
        return -1;
    const struct entry *entry = find_entry(list_of(pid), inode);
    *info = (struct socket_info){.peer = "socket"};
    if (entry)
        describe(entry, info);
    return 0;
}

void socket_forget_lists(void) {
    for (int i = 0; i < list_count; i++)
        free(lists[i].entries);
    list_count = 0;
}
