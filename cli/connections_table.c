#include "cli/connections_table.h"

#include "cli/process/process_connections.h"
#include "cli/process/processes.h"
#include "shim/report/format_peer.h"

void connections_table_start(struct table *table) {
    static const char *const heading[] = {"PID",     "PROGRAM", "FD",     "PEER",    "STATE",  "CONNECTING",
                                          "PENDING", "UNACKED", "UNSENT", "RETRANS", "UNREAD", "SILENT"};
    *table = (struct table){.columns = sizeof heading / sizeof heading[0], .right = 0xfe5};
    for (int i = 0; i < table->columns; i++)
        table_add(table, heading[i]);
}

struct row {
    struct table *table;
    pid_t pid;
    struct go_program *go;
    char program[64];
};

static void add_row(const struct connection *connection, int fd, void *arg) {
    const struct row *row = arg;
    const struct nd_tcp_info *info = &connection->info;
    struct connection_trouble trouble;
    struct nd_line peer;
    char text[128];
    connection_trouble(connection, row->go, fd, &trouble);
    nd_line_start(&peer, text, sizeof text);
    nd_format_put_peer(&peer, (const struct sockaddr *)&connection->remote, sizeof connection->remote);
    table_add_number(row->table, (uint64_t)row->pid);
    table_add(row->table, row->program);
    table_add_number(row->table, (uint64_t)fd);
    table_add(row->table, text);
    table_add(row->table, connection_state(connection->state));
    table_add_time(row->table, trouble.connecting);
    table_add_time(row->table, trouble.reply_pending);
    table_add_time(row->table, trouble.unacked);
    table_add_number(row->table, connection->send_queue);
    table_add_number(row->table, info->retransmits > info->probes ? info->retransmits : info->probes);
    table_add_number(row->table, connection->receive_queue);
    table_add_time(row->table, trouble.connecting >= 0 || !(info->known & ND_TCP_TIMES)
                                   ? -1
                                   : nd_time_sooner(info->last_data_recv, info->last_data_sent));
}

int connections_table_add(struct table *table, pid_t pid) {
    struct row row = {.table = table, .pid = pid, .go = go_waits_look(pid)};
    process_name(pid, row.program, sizeof row.program);
    return process_connections(pid, add_row, &row);
}
