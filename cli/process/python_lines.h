/* The line of an instruction, by the table of its code object. */
#pragma once

#include "cli/process/python_layout.h"

/* The line of the instruction that begins `offset` bytes behind the first; 0 where the table does not tell. The table
 * may be anything. */
unsigned python_line_at(enum python_lines how, const unsigned char *table, size_t size, unsigned first_line,
                        size_t offset);
