/* The options that stand for settings: --recv 30s. `run` and `unit` take them. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdio.h>

#include "cli/library.h"
#include "shim/settings/settings.h"

struct options {
    const char *command; /* whose they are, for complaints */
    /* Gets each setting, whose value has been checked, in turn. Returns 0, or -1 with errno. */
    int (*take)(const struct nd_setting *setting, const char *value, void *arg);
    void *arg;
    const char *library; /* --library; NULL: find it */
    char **rest;         /* the arguments after the options */
};

/* Reads the options of argv, whose first word is the command. Returns an exit status, having complained. */
int options_read(struct options *options, char **argv);

/* The library that they name, or the one that is found. Returns an exit status, having complained. */
int options_find_library(const struct options *options, struct library *library);

/* Their part of a command's help. */
void options_print_help(FILE *to);

#endif
