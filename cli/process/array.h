/* Arrays that grow. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for one element more in an array of malloc(3) that has `count` elements of `size` bytes each, and room for
 * *room: doubles it, from `least` on. `array` is the address of the pointer to the first element (NULL: there is none
 * yet). Returns false where there is no memory; the array is then as it was. */
static inline bool array_grow(void *array, size_t count, size_t *room, size_t size, size_t least) {
    void *elements;
    if (count < *room)
        return true;
    const size_t more = *room ? 2 * *room : least;
    memcpy(&elements, array, sizeof elements);
    /* cppcheck-suppress memleakOnRealloc ; the caller's pointer still has the old block */
    elements = realloc(elements, more * size);
    if (!elements)
        return false;
    memcpy(array, &elements, sizeof elements);
    *room = more;
    return true;
}
