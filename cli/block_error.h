/* Why a process that was asked for by number has no state block to read, as the operator is told. */
#pragma once

#include "cli/process/block.h"

/* Warns unless `found` is BLOCK_FOUND. Returns the command's exit status. */
int block_error(pid_t pid, enum block_found found);

/* Warns and returns CLI_NOT_FOUND where there is no such process, else CLI_OK. */
int block_process_error(pid_t pid);
