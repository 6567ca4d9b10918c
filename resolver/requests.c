#include "resolver/requests.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "resolver/lock.h"
#include "resolver/thread.h"

#pragma weak pthread_create
#pragma weak pthread_attr_init
#pragma weak pthread_attr_destroy
#pragma weak pthread_attr_setdetachstate

/* One call of getaddrinfo_a. */
struct batch {
    int left;
    bool has_event;
    struct sigevent event;
    pid_t caller;
};

struct request {
    struct gaicb *asked; /* the program's: not touched any more once it says done */
    struct batch *batch;
    nd_request_lookup *look_up;
    bool running;
    struct request *next;
};

/* All of it belongs to one process: a forked child starts afresh, without the threads that it does not have. */
static struct {
    int lock;
    pid_t owner;
    struct request *first;
    int threads;
    int finished; /* counts up with each request; a futex */
} requests;

static void enter(void) {
    nd_lock(&requests.lock);
    pid_t self = getpid();
    if (requests.owner != self) {
        requests.owner = self;
        requests.first = NULL;
        requests.threads = 0;
    }
}

static void leave(void) {
    nd_unlock(&requests.lock);
}

static void *tell_by_call(void *arg) {
    struct sigevent event = *(struct sigevent *)arg;
    sigset_t none;
    free(arg);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    event.sigev_notify_function(event.sigev_value);
    return NULL;
}

static void tell_in_thread(const struct sigevent *event) {
    struct sigevent *copy = malloc(sizeof *copy);
    pthread_attr_t attr, *given = event->sigev_notify_attributes;
    pthread_t thread;
    if (!copy || !pthread_create) {
        free(copy);
        return;
    }
    *copy = *event;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, given ? given : &attr, tell_by_call, copy) != 0)
        free(copy);
    pthread_attr_destroy(&attr);
}

static void tell(const struct sigevent *event, pid_t caller) {
    if (event->sigev_notify == SIGEV_SIGNAL) {
        siginfo_t info = {.si_signo = event->sigev_signo, .si_code = SI_ASYNCNL};
        info.si_pid = caller;
        info.si_uid = getuid();
        info.si_value = event->sigev_value;
        syscall(SYS_rt_sigqueueinfo, caller, event->sigev_signo, &info);
    } else if (event->sigev_notify == SIGEV_THREAD) {
        tell_in_thread(event);
    }
}

/* Takes `r` out of the list, its program's record says done; after that the program may free the record. Inside the lock. */
static struct batch *finish(struct request *r, int code) {
    struct batch *batch = r->batch;
    struct request **p = &requests.first;
    while (*p != r)
        p = &(*p)->next;
    *p = r->next;
    __atomic_store_n(&r->asked->__return, code, __ATOMIC_RELEASE);
    __atomic_add_fetch(&requests.finished, 1, __ATOMIC_RELEASE);
    free(r);
    return --batch->left == 0 ? batch : NULL;
}

static void finish_batch(struct batch *batch) {
    nd_futex_wake(&requests.finished);
    if (batch && batch->has_event)
        tell(&batch->event, batch->caller);
    free(batch);
}

static struct request *take_next(void) {
    struct request *r = requests.first;
    while (r && r->running)
        r = r->next;
    if (r)
        r->running = true;
    else
        requests.threads--;
    return r;
}

static void *work(void *unused) {
    for (;;) {
        enter();
        struct request *r = take_next();
        leave();
        if (!r)
            return unused;
        struct gaicb *asked = r->asked;
        int code = r->look_up(asked->ar_name, asked->ar_service, asked->ar_request, &asked->ar_result);
        enter();
        struct batch *done = finish(r, code);
        leave();
        finish_batch(done);
    }
}

static struct request *new_request(struct gaicb *asked, struct batch *batch, nd_request_lookup *look_up) {
    struct request *r = malloc(sizeof *r);
    if (r) {
        *r = (struct request){.asked = asked, .batch = batch, .look_up = look_up};
        batch->left++;
    }
    asked->__return = r ? EAI_INPROGRESS : EAI_SYSTEM;
    return r;
}

/* How many could be taken. Inside the lock. */
static int append(struct gaicb *list[], int count, struct batch *batch, nd_request_lookup *look_up) {
    struct request **end = &requests.first;
    int taken = 0;
    while (*end)
        end = &(*end)->next;
    for (int i = 0; i < count; i++)
        if (list[i] && (*end = new_request(list[i], batch, look_up)) != NULL) {
            end = &(*end)->next;
            taken++;
        }
    return taken;
}

/* A thread for each request, as far as there may be more. False: there is none, and there is none to be had. */
static bool start_threads(int count) {
    bool alive = true;
    while (count-- > 0 && alive) {
        enter();
        bool more = requests.threads < ND_REQUEST_THREADS;
        requests.threads += more;
        leave();
        if (!more)
            return true;
        if (!nd_thread_start(work, NULL)) {
            enter();
            alive = --requests.threads > 0;
            leave();
        }
    }
    return alive;
}

/* No thread will ever take them. */
static void give_back(const struct batch *batch) {
    enter();
    for (struct request *r = requests.first, *next; r; r = next) {
        next = r->next;
        if (r->batch == batch && !r->running)
            finish(r, EAI_SYSTEM);
    }
    leave();
}

int nd_requests_add(struct gaicb *list[], int count, nd_request_lookup *look_up, const struct sigevent *event) {
    struct batch *batch = calloc(1, sizeof *batch);
    int wanted = 0, result = 0;
    for (int i = 0; i < count; i++)
        wanted += list[i] != NULL;
    if (!batch)
        return EAI_AGAIN;
    batch->left = 1; /* ours, until all are in the list */
    batch->caller = getpid();
    batch->has_event = event != NULL;
    if (event)
        batch->event = *event;
    enter();
    int taken = append(list, count, batch, look_up);
    leave();
    if (!start_threads(taken)) {
        give_back(batch);
        errno = EAGAIN;
        result = EAI_AGAIN;
    }
    if (taken < wanted)
        result = EAI_AGAIN;
    enter();
    bool last = --batch->left == 0;
    leave();
    if (last)
        finish_batch(batch);
    return result;
}

static bool is_waiting(const struct gaicb *asked) {
    return asked && __atomic_load_n(&asked->__return, __ATOMIC_ACQUIRE) == EAI_INPROGRESS;
}

static struct request *find(const struct gaicb *asked) {
    struct request *r = requests.first;
    while (r && r->asked != asked)
        r = r->next;
    return r;
}

bool nd_requests_any(const struct gaicb *const list[], int count) {
    bool any = false;
    enter();
    for (int i = 0; i < count && !any; i++)
        any = is_waiting(list[i]) && find(list[i]);
    leave();
    return any;
}

int nd_requests_wait(const struct gaicb *const list[], int count, bool all, nd_time deadline) {
    for (int at_first = -1;;) {
        int seen = __atomic_load_n(&requests.finished, __ATOMIC_ACQUIRE), left = 0;
        for (int i = 0; i < count; i++)
            left += is_waiting(list[i]);
        at_first = at_first < 0 ? left : at_first;
        if (left == 0 || (!all && left < at_first))
            return 0;
        if (deadline != ND_NEVER && nd_now() >= deadline)
            return EAI_AGAIN;
        if (!nd_futex_wait(&requests.finished, seen, deadline) && !all)
            return EAI_INTR;
    }
}

int nd_requests_cancel(struct gaicb *asked) {
    struct batch *done = NULL;
    int result = EAI_ALLDONE;
    enter();
    struct request *r = find(asked);
    if (r) {
        result = r->running ? EAI_NOTCANCELED : EAI_CANCELED;
        if (!r->running)
            done = finish(r, EAI_CANCELED);
    }
    leave();
    if (result == EAI_CANCELED)
        finish_batch(done);
    return result;
}
