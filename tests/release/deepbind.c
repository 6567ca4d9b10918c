/* Loads libraries so that they prefer their own symbols: they and what they call must work beside the preloaded
 * library. */
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (!dlopen(argv[i], RTLD_NOW | RTLD_DEEPBIND)) {
            puts(dlerror());
            return 1;
        }
    return argc < 2;
}
