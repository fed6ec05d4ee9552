// Ranks over MPI (tensor/ranks.h).  MPI moves bytes; what is added is added here, in the order of ranks.
#include <mpi.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tensor/ranks.h"

// MPI is global to a process, and so is what belongs to it here.
static MPI_Comm comm = MPI_COMM_SELF;     // of the ranks that work together now
static int self, count = 1;               // in it
static int world;                         // this rank among all, which its last words name
static int words = -1, told = 2;          // what this rank would have said on stderr; where rank 0's stderr is

enum { PIECE = 1 << 18, TAG_END = 1, GRACE_MS = 5000 };   // values that are exchanged at once; see ranks_end

static void use(MPI_Comm c)
{
    comm = c;
    MPI_Comm_rank(c, &self);
    MPI_Comm_size(c, &count);
}

int ranks_count(void) { return count; }
int ranks_self(void) { return self; }
void ranks_alone(bool on) { use(on ? MPI_COMM_SELF : MPI_COMM_WORLD); }

// ---- sums

static int whole(int64_t n)
{
    CHECK(n >= 0 && n <= INT32_MAX, "ranks: %lld values in one message", (long long)n);
    return (int)n;
}

// sum[0..n) = x_0 + x_1 + .. of the ranks' values x [count,n], in this order.
#define ADD_IN_ORDER(type)                                             \
    static void add_##type(type *sum, const type *x, int64_t n)        \
    {                                                                  \
        for (int64_t i = 0; i < n; i++) {                              \
            type s = x[i];                                             \
            for (int r = 1; r < count; r++) s += x[r * n + i];         \
            sum[i] = s;                                                \
        }                                                              \
    }
ADD_IN_ORDER(float)
ADD_IN_ORDER(double)

static MPI_Datatype real_type(size_t size) { return size == sizeof(float) ? MPI_FLOAT : MPI_DOUBLE; }

// The values of rank r's rows, of `width` each.
static RowPart values_of(int64_t n, int64_t width, int r)
{
    const RowPart p = row_part(n, r, count);
    return (RowPart){p.begin * width, p.n * width, n * width};
}

static int64_t at_most(int64_t n, int64_t most) { return n < 0 ? 0 : n < most ? n : most; }

// Values at .. at + PIECE of every rank's part: each rank sends them to whoever adds them up.  counts: [4][R]
static void reduce_piece(char *x, int64_t n, int64_t width, int64_t at, size_t size, char *got, int *counts)
{
    int *send = counts, *from = counts + count, *receive = from + count, *to = receive + count;
    const RowPart own = values_of(n, width, self);
    const int64_t mine = at_most(own.n - at, PIECE);
    for (int r = 0; r < count; r++) {
        const RowPart p = values_of(n, width, r);
        send[r] = (int)at_most(p.n - at, PIECE);
        from[r] = send[r] ? whole(p.begin + at) : 0;
        receive[r] = (int)mine;
        to[r] = whole(r * mine);
    }
    MPI_Alltoallv(x, send, from, real_type(size), got, receive, to, real_type(size), comm);
    char *sum = x + (size_t)(own.begin + at) * size;
    if (size == sizeof(float)) add_float((float *)(void *)sum, (const float *)(const void *)got, mine);
    else add_double((double *)(void *)sum, (const double *)(const void *)got, mine);
}

static void reduce_host(char *x, int64_t n, int64_t width, size_t size, Arena *scratch)
{
    const int64_t most = (n + count - 1) / count * width;
    int *counts = arena_alloc(scratch, 4 * (size_t)count * sizeof *counts);
    char *got = arena_alloc(scratch, (size_t)count * (size_t)at_most(most, PIECE) * size + 1);
    for (int64_t at = 0; at < most; at += PIECE) reduce_piece(x, n, width, at, size, got, counts);
}

typedef enum Receivers { ALL_RANKS, FIRST_RANK } Receivers;

static void gather_host(char *x, int64_t n, size_t bytes, Receivers to, Arena *scratch)
{
    int *counts = arena_alloc(scratch, 2 * (size_t)count * sizeof *counts), *from = counts + count;
    const RowPart own = row_part(n, self, count);
    MPI_Datatype row;
    for (int r = 0; r < count; r++) {
        const RowPart p = row_part(n, r, count);
        counts[r] = whole(p.n);
        from[r] = whole(p.begin);
    }
    MPI_Type_contiguous(whole((int64_t)bytes), MPI_BYTE, &row);
    MPI_Type_commit(&row);
    if (to == ALL_RANKS) MPI_Allgatherv(MPI_IN_PLACE, 0, row, x, counts, from, row, comm);
    else
        MPI_Gatherv(self ? x + (size_t)own.begin * bytes : MPI_IN_PLACE, whole(own.n), row, x, counts, from, row, 0,
                    comm);
    MPI_Type_free(&row);
}

// The n values of `size` bytes where MPI can reach them: x itself, or a copy on the host.
static char *on_host(const Device *d, void *x, int64_t n, size_t size, Arena *scratch)
{
    if (!d->memory) return x;
    char *copy = arena_alloc(scratch, (size_t)n * size);
    device_get(d, copy, x, (size_t)n * size);
    return copy;
}

static void put_back(const Device *d, void *x, const char *copy, int64_t n, size_t size)
{
    if (d->memory) device_put(d, x, copy, (size_t)n * size);
}

void ranks_reduce(const Device *d, void *x, int64_t n, int64_t width, Arena *scratch)
{
    if (count == 1) return;
    const size_t mark = arena_mark(scratch);
    char *at = on_host(d, x, n * width, d->real_size, scratch);
    reduce_host(at, n, width, d->real_size, scratch);
    put_back(d, x, at, n * width, d->real_size);
    arena_rewind(scratch, mark);
}

static void gather(const Device *d, void *x, int64_t n, size_t bytes, Receivers to, Arena *scratch)
{
    if (count == 1) return;
    const size_t mark = arena_mark(scratch);
    char *at = on_host(d, x, n, bytes, scratch);
    gather_host(at, n, bytes, to, scratch);
    if (to == ALL_RANKS || self == 0) put_back(d, x, at, n, bytes);
    arena_rewind(scratch, mark);
}

void ranks_gather(const Device *d, void *x, int64_t n, size_t bytes, Arena *scratch)
{
    gather(d, x, n, bytes, ALL_RANKS, scratch);
}

void ranks_gather_first(const Device *d, void *x, int64_t n, size_t bytes, Arena *scratch)
{
    gather(d, x, n, bytes, FIRST_RANK, scratch);
}

void ranks_sum(const Device *d, void *x, int64_t n, Arena *scratch)
{
    if (count == 1) return;
    const size_t mark = arena_mark(scratch);
    char *at = on_host(d, x, n, d->real_size, scratch);
    reduce_host(at, n, 1, d->real_size, scratch);
    gather_host(at, n, d->real_size, ALL_RANKS, scratch);
    put_back(d, x, at, n, d->real_size);
    arena_rewind(scratch, mark);
}

// ---- agreement

double ranks_same(double x)
{
    if (count > 1) MPI_Bcast(&x, 1, MPI_DOUBLE, 0, comm);
    return x;
}

bool ranks_any(bool x)
{
    int any = x;
    if (count > 1) MPI_Allreduce(MPI_IN_PLACE, &any, 1, MPI_INT, MPI_MAX, comm);
    return any != 0;
}

Status ranks_agree(Status s)
{
    int first = s.code ? self : count;
    if (count == 1) return s;
    MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, comm);
    if (first == count) return OK;
    const char *file = s.file;
    MPI_Bcast(&s, (int)sizeof s, MPI_BYTE, first, comm);
    s.file = first == self ? file : NULL;   // a pointer of another process
    return s;
}

Status ranks_check_alike(const void *bytes, size_t n, const char *what)
{
    if (count == 1) return OK;
    uint64_t hash = 0xcbf29ce484222325u, first;   // FNV-1a
    for (size_t i = 0; i < n; i++) hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    first = hash;
    MPI_Bcast(&first, 1, MPI_UINT64_T, 0, comm);
    return ranks_agree(first == hash ? OK : ERROR("rank %d: want the %s of rank 0, got others", self, what));
}

// ---- begin and end

// The last line of what this rank would have said, on the stderr that it was started with.  Async-signal-safe.
static void tell(void)
{
    char text[1024];
    const off_t end = words < 0 ? 0 : lseek(words, 0, SEEK_END), from = end > 1000 ? end - 1000 : 0;
    ssize_t n = words < 0 ? 0 : pread(words, text, 1000, from);
    if (n <= 0) return;
    if (text[n - 1] != '\n') text[n++] = '\n';
    ssize_t line = n - 1;
    while (line > 0 && text[line - 1] != '\n') line--;
    char rank[] = "rank 0000000000: ";
    int at = (int)sizeof rank - 4;
    for (int r = world; r; r /= 10) rank[at--] = (char)('0' + r % 10);
    memcpy(rank + at - 4, "rank ", 5);
    if (write(told, rank + at - 4, sizeof rank - 1 - (size_t)(at - 4)) < 0 ||
        write(told, text + line, (size_t)(n - line)) < 0) {}
}

static void on_abort(int sig)
{
    tell();
    signal(sig, SIG_DFL);
    raise(sig);
}

// Ranks other than 0 speak into a file of their own in memory.
static void be_silent(void)
{
    words = memfd_create("stderr", MFD_CLOEXEC);
    told = fcntl(2, F_DUPFD_CLOEXEC, 3);
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (words < 0 || told < 0 || null < 0 || dup2(words, 2) < 0 || dup2(null, 1) < 0) MPI_Abort(MPI_COMM_WORLD, 1);
    close(null);
    signal(SIGABRT, on_abort);
}

void ranks_begin(int *argc, char ***argv)
{
    int level;
    MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &level);
    use(MPI_COMM_WORLD);
    world = self;
    if (self) be_silent();
}

void ranks_abort(int code)
{
    fflush(NULL);
    if (words >= 0) tell();
    MPI_Abort(MPI_COMM_WORLD, code);
}

// Whether all ranks come here, within `ms` milliseconds (< 0: however long it takes); *first = the first that failed.
static bool all_end(int code, int ms, int *first)
{
    int *codes = calloc((size_t)count, sizeof *codes), mine = code, done = 0;
    MPI_Request *r = calloc(2 * (size_t)count, sizeof(MPI_Request));
    if (!codes || !r) return false;
    for (int k = 0; k < count; k++) {   // not a collective call: others may be in one
        MPI_Irecv(&codes[k], 1, MPI_INT, k, TAG_END, comm, &r[2 * k]);
        MPI_Isend(&mine, 1, MPI_INT, k, TAG_END, comm, &r[2 * k + 1]);
    }
    for (; !done && ms; ms -= ms > 0) {
        MPI_Testall(2 * count, r, &done, MPI_STATUSES_IGNORE);
        if (!done) usleep(1000);
    }
    for (*first = 0; done && *first < count && !codes[*first];) ++*first;
    if (done) free(codes), free(r);   // else they may still be written to
    return done;
}

int ranks_end(int code)
{
    int first;
    fflush(NULL);
    use(MPI_COMM_WORLD);
    if (!all_end(code, code ? GRACE_MS : -1, &first)) ranks_abort(code);
    else if (first == self && self) tell();
    MPI_Finalize();
    return code;
}
