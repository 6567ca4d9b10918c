#include "cli/launcher.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const struct launcher {
    const char *name;
    const char *subcommand;  /* the word before the options, or NULL */
    const char *with_values; /* the letters of the options that have a value */
} launchers[] = {{"mptcpize", "run", ""}, {"trickle", NULL, "duwtlnLP"}, {"jemalloc.sh", NULL, NULL}};

static const struct launcher *find(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof launchers / sizeof launchers[0]; i++)
        if (strcmp(launchers[i].name, name) == 0)
            return &launchers[i];
    return NULL;
}

/* Whether the value of an option in `word` is the word that follows. */
static bool takes_next(const char *word, const char *with_values) {
    const char *option = strpbrk(word, with_values);
    return option && !option[1];
}

int launcher_program(char **argv) {
    const struct launcher *this = find(argv[0]);
    int i = 1;
    if (!this || (this->subcommand && (!argv[i] || strcmp(argv[i++], this->subcommand) != 0)))
        return 0;
    while (this->with_values && argv[i] && argv[i][0] == '-' && argv[i][1]) {
        const char *word = argv[i++];
        if (strcmp(word, "--") == 0)
            break;
        if (takes_next(word + 1, this->with_values) && argv[i])
            i++;
    }
    return argv[i] ? i : 0;
}
