/* What the library itself calls. A program, or a library before libc in the search order, may define functions under
 * names that libc has too (shutdown, open, rand, getenv). libc never calls them; neither may this library. */
#pragma once

/* Points each reference of this library to a function of libc at libc's own one, whatever the loader has found first.
 * References to data stay as they are, since a program's copy of environ is the one in use, and so do those to the
 * functions in own_calls.def. Does nothing where the library runs with another libc, or is built with a sanitizer.
 * Called once, by the constructor, before anything else. Keeps errno. */
void nd_own_calls_bind(void);

/* libc's own function of this name; NULL where libc has none, or its tables cannot be read. Async-signal-safe once the
 * constructor has run. */
void *nd_own_calls_find(const char *name);
