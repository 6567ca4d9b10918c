#include "shim/settings/setting_value.h"

#include <string.h>

#include "shim/settings/duration.h"
#include "shim/settings/endpoint.h"

/* The words for the values of the kinds that have few, in the order of their enums. No pointers: every start would
 * relocate them. */
enum { MOST_WORDS = 3, WORD_SIZE = 8 };
typedef const char word_list[MOST_WORDS][WORD_SIZE];
static word_list words[] = {
    [ND_SETTING_MODE] = {[ND_MODE_ENFORCE] = "enforce", [ND_MODE_OBSERVE] = "observe", [ND_MODE_OFF] = "off"},
    [ND_SETTING_LOG] = {[ND_LOG_OFF] = "off", [ND_LOG_STDERR] = "stderr", [ND_LOG_SYSLOG] = "syslog"},
    [ND_SETTING_LOG_FORMAT] = {[ND_LOG_LOGFMT] = "logfmt", [ND_LOG_JSON] = "json"},
    [ND_SETTING_RESOLVE_ERROR] = {[ND_RESOLVE_AGAIN] = "again", [ND_RESOLVE_FAIL] = "fail"},
    [ND_SETTING_SWITCH] = {"0", "1"},
};
static word_list switch_words = {"off", "on"};

/* The index of `value` in the list, or -1. */
static int find_word(word_list list, const char *value) {
    for (int i = 0; i < MOST_WORDS && list[i][0]; i++)
        if (strcmp(list[i], value) == 0)
            return i;
    return -1;
}

static nd_live_time *time_at(const struct nd_settings *settings, size_t offset) {
    return (nd_live_time *)((char *)(uintptr_t)settings + offset);
}

/* The number of a word. */
static _Atomic unsigned *number_at(const struct nd_settings *settings, size_t offset) {
    return (_Atomic unsigned *)((char *)(uintptr_t)settings + offset);
}

static struct nd_limits *limits_at(const struct nd_settings *settings, size_t offset) {
    return (struct nd_limits *)((char *)(uintptr_t)settings + offset);
}

struct nd_setting_value nd_setting_value_get(const struct nd_setting *setting, const struct nd_settings *settings) {
    switch (setting->kind) {
    case ND_SETTING_TIME:
        return (struct nd_setting_value){*time_at(settings, setting->field), 0};
    case ND_SETTING_RATE:
        return (struct nd_setting_value){(int64_t)limits_at(settings, setting->field)->min_rate_bytes,
                                         limits_at(settings, setting->field)->min_rate_window};
    case ND_SETTING_ADDRESS:
    case ND_SETTING_UNREAD:
        return (struct nd_setting_value){0, 0};
    default:
        return (struct nd_setting_value){*number_at(settings, setting->field), 0};
    }
}

static int set_rate(struct nd_limits *limits, struct nd_setting_value value) {
    if (value.value && !value.window)
        return -1;
    limits->min_rate_bytes = 0; /* off, rather than the new bytes over the old window */
    limits->min_rate_window = value.window;
    limits->min_rate_bytes = (uint64_t)value.value;
    return 0;
}

int nd_setting_value_set(const struct nd_setting *setting, struct nd_settings *settings,
                         struct nd_setting_value value) {
    if (value.value < 0 || value.window < 0)
        return -1;
    switch (setting->kind) {
    case ND_SETTING_TIME:
        *time_at(settings, setting->field) = value.value;
        return 0;
    case ND_SETTING_RATE:
        return set_rate(limits_at(settings, setting->field), value);
    case ND_SETTING_MODE:
        if (value.value > ND_MODE_OFF)
            return -1;
        settings->mode = (enum nd_mode)value.value;
        return 0;
    default:
        return -1;
    }
}

static int read_time(const struct nd_setting *setting, const char *value, struct nd_settings *settings) {
    nd_time time;
    if (nd_duration_parse(value, &time) != 0)
        return -1;
    *time_at(settings, setting->field) = time;
    if (setting->follower)
        *time_at(settings, setting->follower) = time;
    return 0;
}

/* The factor that the suffix at *text stands for, 1 where there is none; moves *text past it. Powers of 1024, as in
 * curl's rates. */
static uint64_t read_factor(const char **text) {
    int shift = **text == 'k' || **text == 'K' ? 10 : **text == 'M' ? 20 : **text == 'G' ? 30 : 0;
    *text += shift != 0;
    return (uint64_t)1 << shift;
}

/* Reads `1k/30s`. */
static int read_rate(const char *value, struct nd_limits *limits) {
    uint64_t bytes = 0;
    nd_time window;
    const char *at = value;
    if (strcmp(value, "off") == 0) {
        limits->min_rate_bytes = 0;
        limits->min_rate_window = 0;
        return 0;
    }
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(bytes, 10, &bytes) || __builtin_add_overflow(bytes, *at - '0', &bytes))
            return -1;
    if (bytes == 0 || __builtin_mul_overflow(bytes, read_factor(&at), &bytes) || *at != '/')
        return -1;
    if (nd_duration_parse(at + 1, &window) != 0 || window == 0)
        return -1;
    limits->min_rate_bytes = bytes;
    limits->min_rate_window = window;
    return 0;
}

static int read_word(const struct nd_setting *setting, const char *value, struct nd_settings *settings) {
    int word = find_word(words[setting->kind], value);
    if (word < 0 && setting->kind == ND_SETTING_SWITCH)
        word = find_word(switch_words, value);
    if (word < 0)
        return -1;
    *number_at(settings, setting->field) = (unsigned)word;
    return 0;
}

static int read_log(const struct nd_setting *setting, const char *value, struct nd_settings *settings) {
    if (read_word(setting, value, settings) == 0)
        return 0;
    if (value[0] != '/' || strlen(value) >= sizeof settings->log_path)
        return -1;
    settings->log = ND_LOG_FILE;
    strcpy(settings->log_path, value);
    return 0;
}

/* Reads `127.0.0.1:8125`, `[::1]:8125`. Addresses are numeric, because a report cannot look up a name. */
static int read_address(const char *value, char *out, size_t size) {
    struct nd_endpoint_address address;
    const bool off = strcmp(value, "off") == 0;
    if (!off && (strlen(value) >= size || !nd_endpoint_parse_address(value, &address)))
        return -1;
    strcpy(out, off ? "" : value);
    return 0;
}

int nd_setting_read(const struct nd_setting *setting, const char *value, struct nd_settings *settings) {
    switch (setting->kind) {
    case ND_SETTING_TIME:
        return read_time(setting, value, settings);
    case ND_SETTING_RATE:
        return read_rate(value, limits_at(settings, setting->field));
    case ND_SETTING_LOG:
        return read_log(setting, value, settings);
    case ND_SETTING_ADDRESS:
        return read_address(value, settings->statsd, sizeof settings->statsd);
    case ND_SETTING_UNREAD:
        return 0;
    default:
        return read_word(setting, value, settings);
    }
}

static void put_rate(struct nd_line *line, const struct nd_limits *limits) {
    static const char suffixes[] = {'\0', 'k', 'M', 'G'};
    uint64_t bytes = limits->min_rate_bytes;
    size_t suffix = 0;
    if (bytes == 0) {
        nd_line_put(line, "off");
        return;
    }
    for (; suffix < 3 && bytes % 1024 == 0; suffix++)
        bytes /= 1024;
    nd_line_put_number(line, bytes, 1);
    if (suffix > 0)
        nd_line_put_char(line, suffixes[suffix]);
    nd_line_put_char(line, '/');
    nd_line_put_duration(line, limits->min_rate_window);
}

void nd_setting_put(const struct nd_setting *setting, const struct nd_settings *settings, struct nd_line *line) {
    switch (setting->kind) {
    case ND_SETTING_TIME:
        nd_line_put_duration(line, *time_at(settings, setting->field));
        break;
    case ND_SETTING_RATE:
        put_rate(line, limits_at(settings, setting->field));
        break;
    case ND_SETTING_ADDRESS:
        nd_line_put(line, settings->statsd[0] ? settings->statsd : "off");
        break;
    case ND_SETTING_UNREAD:
        break;
    default:
        if (setting->kind == ND_SETTING_LOG && settings->log == ND_LOG_FILE)
            nd_line_put_escaped(line, settings->log_path, strlen(settings->log_path), sizeof settings->log_path);
        else
            nd_line_put(line, words[setting->kind][*number_at(settings, setting->field)]);
    }
}

const char *nd_setting_expects(enum nd_setting_kind kind) {
    static const char texts[][80] = {
        [ND_SETTING_TIME] = "a duration such as 250ms, 3s or 1m30s, or off",
        [ND_SETTING_RATE] = "bytes over a duration such as 1k/30s, or off",
        [ND_SETTING_MODE] = "enforce, observe or off",
        [ND_SETTING_LOG] = "off, stderr, syslog or an absolute path of at most 255 bytes",
        [ND_SETTING_LOG_FORMAT] = "logfmt or json",
        [ND_SETTING_RESOLVE_ERROR] = "again or fail",
        [ND_SETTING_SWITCH] = "0 or 1",
        [ND_SETTING_ADDRESS] = "a numeric address and port such as 127.0.0.1:8125 or [::1]:8125, or off",
        [ND_SETTING_UNREAD] = "anything",
    };
    return texts[kind];
}
