#include "shim/settings/rules.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/settings/environment.h"
#include "shim/settings/settings.h"
#include "tests/unit/unit.h"

static struct nd_rules rules;
static struct nd_settings settings;
static struct nd_program program;
static char complaints[4096];

static void complain(const char *text, void *arg) {
    (void)arg;
    size_t used = strlen(complaints);
    snprintf(complaints + used, sizeof complaints - used, "%s\n", text);
}

/* What `text` and `environment` make for the program `name` (NULL: for all). */
static void read_for(const char *name, const char *text, char *const *environment) {
    struct nd_word rest = {text, strlen(text)}, line;
    unsigned number = 0;
    memset(&rules, 0, sizeof rules);
    complaints[0] = '\0';
    if (name)
        nd_program_named(&program, name);
    nd_settings_defaults(&settings);
    nd_rules_start(&rules, &settings, name ? &program : NULL, "x.conf", complain, NULL);
    while (nd_next_line(&rest, &line))
        nd_rules_take_line(&rules, line.at, line.size, ++number);
    nd_rules_take_environment(&rules, environment);
    nd_rules_finish(&rules);
}

static void read_all(const char *text) {
    read_for("prog", text, NULL);
}

/* The settings for a connection to (from) an address; `name`: of the host that it was found for. */
static struct nd_settings at(bool inbound, const char *address, uint16_t port, const char *name) {
    struct nd_settings made = settings;
    struct nd_endpoint_address place = {.port = port};
    char mapped[64] = "::ffff:";
    if (inet_pton(AF_INET6, address, &place.address) != 1) {
        strcat(mapped, address);
        ck_assert_int_eq(inet_pton(AF_INET6, mapped, &place.address), 1);
    }
    struct nd_rule_set named = nd_rules_named(&rules, name ? name : "");
    struct nd_rule_set set = nd_rules_at(&rules, inbound, &place, &named);
    nd_rules_apply(&rules, &set, rules.from_environment, &made, NULL);
    return made;
}

static int recv_to(const char *address, uint16_t port, const char *name) {
    return (int)(at(false, address, port, name).outbound.recv / ND_SEC);
}

START_TEST(values_for_everything) {
    read_all("# comment\n\n  ; another\nRECV=2s\r\n send = 3s   # why\nTls-Handshake=4s\nlog = /var/log/a#b\nMIN_RATE "
             "= 1k/30s\n"
             "INBOUND_RECV = 5s\nMODE=observe\nRECV=7s");
    ck_assert_str_eq(complaints, "");
    ck_assert_int_eq(settings.outbound.recv, 7 * ND_SEC);
    ck_assert_int_eq(settings.outbound.send, 3 * ND_SEC);
    ck_assert_int_eq(settings.outbound.tls_handshake, 4 * ND_SEC);
    ck_assert_str_eq(settings.log_path, "/var/log/a#b");
    ck_assert_uint_eq(settings.outbound.min_rate_bytes, 1024);
    ck_assert_int_eq(settings.inbound.recv, 5 * ND_SEC);
    ck_assert_int_eq(settings.mode, ND_MODE_OBSERVE);
}
END_TEST

static const struct {
    const char *line, *complaint;
} mistakes[] = {
    {"FOO = 1", "x.conf:2: \"FOO\" is not a setting\n"},
    {"NETDEADLINE_RECV = 1s", "x.conf:2: \"NETDEADLINE_RECV\" is not a setting\n"},
    {"CONFIG = /x", "x.conf:2: \"CONFIG\" is not a setting\n"},
    {"SEND", "x.conf:2: \"SEND\" is neither NAME = VALUE nor [section]\n"},
    {"= 3s", "x.conf:2: \"\" is not a setting\n"},
    {"SEND = ", "x.conf:2: \"\" is not a duration such as 250ms, 3s or 1m30s, or off\n"},
    {"SEND = 3\x1b[m", "x.conf:2: \"3\\u001b[m\" is not a duration such as 250ms, 3s or 1m30s, or off\n"},
    {"LOG = relative", "x.conf:2: \"relative\" is not off, stderr, syslog or an absolute path of at most 255 bytes\n"},
    {"[", "x.conf:2: \"[\" has no ] at its end\n"},
    {"[]", "x.conf:2: \"\" names nothing\n"},
    {"[program]", "x.conf:2: \"program\" names nothing\n"},
    {"[program destination 1.2.3.4]", "x.conf:2: \"destination\" stands where a name is needed\n"},
    {"[destination]", "x.conf:2: \"destination\" names nothing\n"},
    {"[destinations 1.2.3.4]", "x.conf:2: \"destinations\" is not program, destination, inbound or outbound\n"},
    {"[destination 1.2.3.4 inbound]", "x.conf:2: \"inbound\" gives the section a second direction\n"},
    {"[destination 1.2.3]", "x.conf:2: \"1.2.3\" is not an address\n"},
    {"[inbound host.example]", "x.conf:2: \"host.example\" cannot stand there: peers have addresses, not names\n"},
};

/* A mistake is told, and everything else stays in force. */
START_TEST(mistake) {
    char text[400];
    snprintf(text, sizeof text, "RECV = 1s\n%s\n%sSEND = 2s\n", mistakes[_i].line,
             mistakes[_i].line[0] == '[' ? "CONNECT = 77s\nNONSENSE = 1\n[program prog]\n" : "");
    read_all(text);
    ck_assert_str_eq(complaints, mistakes[_i].complaint);
    ck_assert_int_eq(settings.outbound.recv, ND_SEC);
    ck_assert_int_eq(settings.outbound.send, 2 * ND_SEC);
    ck_assert_int_eq(settings.connect, 10 * ND_SEC);
}
END_TEST

static const struct {
    const char *section, *line, *wrong;
} misplaced[] = {
    {"[inbound]", "CONNECT = 1s", "is no limit of accepted connections"},
    {"[inbound]", "ESTABLISH = 1s", "is no limit of accepted connections"},
    {"[inbound]", "LOG = stderr", "is no limit of accepted connections"},
    {"[inbound 1.2.3.4]", "ACCEPT = 1s", "cannot be set for single peers"},
    {"[inbound :80 1.2.3.4:80]", "ACCEPT = 1s", "cannot be set for single peers"},
    {"[outbound]", "INBOUND_RECV = 1s", "is no limit of connections that the program makes"},
    {"[outbound]", "ACCEPT = 1s", "is no limit of connections that the program makes"},
    {"[destination x.test]", "MODE = off", "is no limit of connections that the program makes"},
    {"[destination 1.2.3.4]", "RESOLVE = 1s", "can be set for host names only, not for addresses: those come of it"},
    {"[program prog]", "SKIP = x", "stands above the first section only"},
};

START_TEST(setting_in_the_wrong_section) {
    char text[400], expected[400], name[32];
    snprintf(text, sizeof text, "%s\n%s\nRECV=3s\n", misplaced[_i].section, misplaced[_i].line);
    sscanf(misplaced[_i].line, "%31s", name);
    snprintf(expected, sizeof expected, "x.conf:2: \"%s\" %s\n", name, misplaced[_i].wrong);
    read_all(text);
    ck_assert_str_eq(complaints, expected);
}
END_TEST

/* Found by fuzzing: the name was compared up to the zero, and looked at behind it. */
START_TEST(zeros_in_a_name) {
    static const char line[] = "RECV\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0 = 1s";
    read_all("");
    nd_rules_take_line(&rules, line, sizeof line - 1, 7);
    ck_assert_ptr_nonnull(strstr(complaints, "x.conf:7: \"RECV"));
    ck_assert_int_eq(settings.outbound.recv, 0);
    nd_rules_take_line(&rules, "RECV = 1s\0", 10, 8);
    ck_assert_int_eq(settings.outbound.recv, 0);
}
END_TEST

START_TEST(long_line) {
    char text[4000];
    memset(text, 'x', 2000);
    strcpy(text + 2000, "\nRECV=1s\n");
    read_all(text);
    ck_assert_str_eq(complaints, "x.conf:1: the line is longer than 1023 bytes and is left out\n");
    ck_assert_int_eq(settings.outbound.recv, ND_SEC);
}
END_TEST

static const char programs[] =
    "RECV = 1s\n[program prog]\nRECV = 2s\n[program other]\nRECV = 3s\n[program p*]\nRECV = 4s\nSEND = 4s\n"
    "[program a b,c]\nRECV = 5s\n";

START_TEST(sections_of_programs) {
    static const struct {
        const char *name;
        int recv, send;
    } cases[] = {{"prog", 2, 4}, {"/usr/bin/other", 3, 0}, {"py", 4, 4}, {"b", 5, 0}, {"c", 5, 0}, {"x", 1, 0},
                 {"Prog", 1, 0}};
    read_for(cases[_i].name, programs, NULL);
    ck_assert_str_eq(complaints, "");
    ck_assert_int_eq(settings.outbound.recv, cases[_i].recv * ND_SEC);
    ck_assert_int_eq(settings.outbound.send, cases[_i].send * ND_SEC);
}
END_TEST

START_TEST(sections_of_directions) {
    read_all("INBOUND_RECV=9s\nUNACKED=8s\n[inbound]\nRECV=2s\nINBOUND_SEND=3s\nACCEPT=4s\n[outbound]\nRECV="
             "5s\nRESOLVE=6s\n");
    ck_assert_str_eq(complaints, "");
    ck_assert_int_eq(settings.inbound.recv, 2 * ND_SEC);
    ck_assert_int_eq(settings.inbound.send, 3 * ND_SEC);
    ck_assert_int_eq(settings.accept, 4 * ND_SEC);
    ck_assert_int_eq(settings.outbound.recv, 5 * ND_SEC);
    ck_assert_int_eq(settings.resolve, 6 * ND_SEC);
    ck_assert_int_eq(settings.inbound.unacked, 8 * ND_SEC);
}
END_TEST

/* Each section is narrower than the one after it, wherever they stand. */
START_TEST(narrower_wins) {
    read_all("RECV = 1s\n"
             "[program prog destination db.example.com:5432]\nRECV = 12s\n"
             "[destination db.example.com:5432]\nRECV = 11s\n"
             "[destination db.example.com]\nRECV = 10s\n"
             "[destination *.example.com]\nRECV = 9s\n"
             "[destination 10.1.1.1:80]\nRECV = 8s\n"
             "[destination 10.1.1.1]\nRECV = 7s\n"
             "[program prog destination 10.1.0.0/16]\nRECV = 6s\n"
             "[destination 10.1.0.0/16]\nRECV = 5s\n"
             "[destination 10.0.0.0/8]\nRECV = 4s\n"
             "[destination *:443]\nRECV = 3s\n"
             "[program prog]\nRECV = 2s\n");
    ck_assert_str_eq(complaints, "");
    ck_assert_int_eq(recv_to("10.1.1.1", 5432, "db.example.com"), 12);
    ck_assert_int_eq(recv_to("10.1.1.1", 80, "db.example.com"), 10);
    ck_assert_int_eq(recv_to("10.1.1.1", 80, "x.example.com"), 9);
    ck_assert_int_eq(recv_to("10.1.1.1", 80, NULL), 8);
    ck_assert_int_eq(recv_to("10.1.1.1", 81, NULL), 7);
    ck_assert_int_eq(recv_to("10.1.1.2", 443, NULL), 6);
    ck_assert_int_eq(recv_to("10.2.1.2", 443, NULL), 4);
    ck_assert_int_eq(recv_to("11.2.1.2", 443, NULL), 3);
    ck_assert_int_eq(recv_to("2001:db8::1", 443, NULL), 3);
    ck_assert_int_eq(recv_to("11.2.1.2", 80, NULL), 2);
}
END_TEST

START_TEST(each_setting_by_itself) {
    read_all("[destination 10.1.1.1]\nSEND=3s\n[destination "
             "10.0.0.0/8]\nSEND=2s\nRECV=2s\nMIN_RATE=2k/1s\nCONNECT=2s\nTLS_SHUTDOWN=off\n");
    struct nd_settings made = at(false, "10.1.1.1", 1, NULL);
    ck_assert_int_eq(made.outbound.send, 3 * ND_SEC);
    ck_assert_int_eq(made.outbound.recv, 2 * ND_SEC);
    ck_assert_uint_eq(made.outbound.min_rate_bytes, 2048);
    ck_assert_int_eq(made.outbound.min_rate_window, ND_SEC);
    ck_assert_int_eq(made.connect, 2 * ND_SEC);
    ck_assert_int_eq(made.outbound.tls_shutdown, 0);
    ck_assert_int_eq(made.outbound.tls_handshake, 10 * ND_SEC);
}
END_TEST

START_TEST(later_line_wins_among_equals) {
    read_all("[destination 10.0.0.1 10.0.0.2]\nRECV=1s\n[destination 10.0.0.2]\nRECV=2s\n");
    ck_assert_int_eq(recv_to("10.0.0.1", 1, NULL), 1);
    ck_assert_int_eq(recv_to("10.0.0.2", 1, NULL), 2);
}
END_TEST

/* Of a limit that is atomic the value, which clang takes from an object only. */
static nd_time value_of(const nd_live_time *limit) {
    return *limit;
}

START_TEST(peers) {
    read_all("[inbound 10.0.0.0/8]\nRECV=1s\n[inbound :8080]\nRECV=2s\n[inbound "
             "10.0.0.0/8:8080]\nSEND=3s\n[destination 10.0.0.1]\nRECV=9s\n");
    ck_assert_int_eq(value_of(&(struct nd_settings[1]) { at(true, "10.0.0.1", 1, NULL) } -> inbound.recv), ND_SEC);
    ck_assert_int_eq(value_of(&(struct nd_settings[1]) { at(true, "11.0.0.1", 8080, NULL) } -> inbound.recv),
                     2 * ND_SEC);
    ck_assert_int_eq(value_of(&(struct nd_settings[1]) { at(true, "10.0.0.1", 8080, NULL) } -> inbound.send),
                     3 * ND_SEC);
    ck_assert_int_eq(value_of(&(struct nd_settings[1]) { at(true, "11.0.0.1", 1, NULL) } -> inbound.recv), 0);
    ck_assert_int_eq(value_of(&(struct nd_settings[1]) { at(true, "10.0.0.1", 1, NULL) } -> outbound.recv), 0);
}
END_TEST

/* What the environment says holds everywhere. */
START_TEST(environment_wins) {
    char *environment[] = {"NETDEADLINE_RECV=20s", "NETDEADLINE_UNACKED=30s", "NETDEADLINE_SEND=nonsense", "PATH=/",
                           NULL};
    read_for("prog", "RECV=1s\nSEND=2s\nINBOUND_UNACKED=3s\n[destination 10.0.0.1]\nRECV=4s\nUNACKED=5s\nSEND=6s\n",
             environment);
    struct nd_settings made = at(false, "10.0.0.1", 1, NULL);
    ck_assert_int_eq(made.outbound.recv, 20 * ND_SEC);
    ck_assert_int_eq(made.outbound.unacked, 30 * ND_SEC);
    ck_assert_int_eq(made.outbound.send, 6 * ND_SEC);
    ck_assert_int_eq(made.inbound.unacked, 3 * ND_SEC);
    ck_assert_int_eq(settings.outbound.send, 2 * ND_SEC);
    ck_assert_str_eq(complaints, "NETDEADLINE_SEND=\"nonsense\" cannot be read, using 2s\n");
}
END_TEST

START_TEST(inbound_unacked_follows) {
    char *environment[] = {"NETDEADLINE_UNACKED=30s", "NETDEADLINE_INBOUND_RECV=1s", NULL};
    read_for("prog", "UNACKED=5s\n", NULL);
    ck_assert_int_eq(settings.inbound.unacked, 5 * ND_SEC);
    read_for("prog", "INBOUND_UNACKED=3s\nUNACKED=5s\n", NULL);
    ck_assert_int_eq(settings.inbound.unacked, 3 * ND_SEC);
    read_for("prog", "UNACKED=5s\n", environment);
    ck_assert_int_eq(settings.inbound.unacked, 30 * ND_SEC);
    read_for("prog", "INBOUND_UNACKED=5s\n", environment);
    ck_assert_int_eq(settings.inbound.unacked, 5 * ND_SEC);
    ck_assert_int_eq(settings.inbound.recv, ND_SEC);
}
END_TEST

static const struct {
    const char *text;
    char *variable;
    bool pass;
} lists[] = {
    {"", NULL, false},
    {"SKIP = a prog,b\n", NULL, true},
    {"SKIP = a\nSKIP = prog\nSKIP = b\n", NULL, true},
    {"SKIP = pro\n", NULL, false},
    {"SKIP = p*g\n", NULL, true},
    {"ONLY = a b\n", NULL, true},
    {"ONLY = a b\nONLY=prog\n", NULL, false},
    {"ONLY = prog\nSKIP=prog\n", NULL, true},
    {"SKIP = prog\n", "NETDEADLINE_SKIP=x", false},
    {"SKIP = prog\n", "NETDEADLINE_SKIP=", false},
    {"ONLY = x\n", "NETDEADLINE_ONLY=prog", false},
    {"ONLY = prog\n", "NETDEADLINE_ONLY=x,y", true},
    {"ONLY = x\n", "NETDEADLINE_ONLY=", false},
    {"", "NETDEADLINE_SKIP=x,prog", true},
};

START_TEST(only_and_skip) {
    char *environment[] = {lists[_i].variable, NULL};
    read_for("prog", lists[_i].text, environment);
    ck_assert_str_eq(complaints, "");
    ck_assert_int_eq(nd_rules_pass(&rules), lists[_i].pass);
}
END_TEST

/* What does not fit is told, and the first ones stay. */
START_TEST(full_tables) {
    static char text[1 << 20];
    char *end = text;
    for (int i = 0; i < 300; i++)
        end += sprintf(end, "[destination 10.0.%d.%d]\nRECV = %ds\nSEND=1s\n", i / 256, i % 256, i + 1);
    read_all(text);
    ck_assert_ptr_nonnull(
        strstr(complaints, "x.conf:769: \"10.0.1.0\" does not fit any more: there are more than 256 places"));
    ck_assert_int_eq(recv_to("10.0.0.255", 1, NULL), 256);
    ck_assert_int_eq(recv_to("10.0.1.0", 1, NULL), 0);

    end = text + sprintf(text, "[destination 10.0.0.1]\n");
    for (int i = 0; i < 600; i++)
        end += sprintf(end, "RECV = %ds\n", i + 1);
    read_all(text);
    ck_assert_ptr_nonnull(
        strstr(complaints, "x.conf:514: \"RECV\" does not fit any more: there are more than 512 values"));
    ck_assert_int_eq(recv_to("10.0.0.1", 1, NULL), 512);

    end = text;
    for (int i = 0; i < 50; i++)
        end += sprintf(end, "[destination %0200d.x]\nRECV = %ds\n", i, i + 1);
    read_all(text);
    ck_assert_ptr_nonnull(strstr(complaints, "does not fit any more: there are too many names"));
}
END_TEST

/* Sections without values take no room. */
START_TEST(empty_sections_take_no_room) {
    static char text[1 << 16];
    char *end = text;
    for (int i = 0; i < 1000; i++)
        end += sprintf(end, "[destination 10.0.%d.%d]\n", i / 256, i % 256);
    sprintf(end, "[destination 11.0.0.1]\nRECV=3s\n");
    read_all(text);
    ck_assert_str_eq(complaints, "");
    ck_assert_uint_eq(rules.count, 1);
    ck_assert_int_eq(recv_to("11.0.0.1", 1, NULL), 3);
}
END_TEST

START_TEST(checking_takes_all_programs) {
    read_for(NULL, "[program a]\nRECV = x\n[program b destination 1.2.3.4]\nSEND = y\n", NULL);
    ck_assert_ptr_nonnull(strstr(complaints, "x.conf:2:"));
    ck_assert_ptr_nonnull(strstr(complaints, "x.conf:4:"));
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, values_for_everything);
    tcase_add_loop_test(tests, mistake, 0, sizeof mistakes / sizeof mistakes[0]);
    tcase_add_loop_test(tests, setting_in_the_wrong_section, 0, sizeof misplaced / sizeof misplaced[0]);
    tcase_add_test(tests, zeros_in_a_name);
    tcase_add_test(tests, long_line);
    tcase_add_loop_test(tests, sections_of_programs, 0, 7);
    tcase_add_test(tests, sections_of_directions);
    tcase_add_test(tests, narrower_wins);
    tcase_add_test(tests, each_setting_by_itself);
    tcase_add_test(tests, later_line_wins_among_equals);
    tcase_add_test(tests, peers);
    tcase_add_test(tests, environment_wins);
    tcase_add_test(tests, inbound_unacked_follows);
    tcase_add_loop_test(tests, only_and_skip, 0, sizeof lists / sizeof lists[0]);
    tcase_add_test(tests, full_tables);
    tcase_add_test(tests, empty_sections_take_no_room);
    tcase_add_test(tests, checking_takes_all_programs);
}
