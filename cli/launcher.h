/* Programs that start another one with a library of their own, and put that in the place of what LD_PRELOAD names. */
#pragma once

/* Returns where in argv stands the program that argv[0] starts so, or 0: argv[0] is no such launcher, or starts none. */
int launcher_program(char **argv);
