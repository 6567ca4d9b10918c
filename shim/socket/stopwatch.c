#include "shim/socket/stopwatch.h"

void nd_stopwatch_add(struct nd_stopwatch *watch, nd_time began, nd_time ended) {
    nd_time from = watch->accounted > began ? watch->accounted : began;
    if (began == ND_POLLED && ended - from > ND_POLLS_APART)
        atomic_store_explicit(&watch->accounted, ended, memory_order_relaxed);
    else if (ended > from) {
        atomic_fetch_add_explicit(&watch->waited, ended - from, memory_order_relaxed);
        atomic_store_explicit(&watch->accounted, ended, memory_order_relaxed);
    }
}
