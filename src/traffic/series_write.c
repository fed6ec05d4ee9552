// Series to files.
#include <limits.h>
#include <math.h>
#include <string.h>

#include "traffic/series_file.h"

Status traffic_series_write(const TrafficSeries *s, const char *path, const char *times_path)
{
    char beside[PATH_MAX];
    if (s->time && !times_path) {
        const char *slash = strrchr(path, '/');
        snprintf(beside, sizeof beside, "%.*s%stimes.npy", slash ? (int)(slash - path) : 0, path, slash ? "/" : "");
        times_path = beside;
    }
    FileWriter x, times;
    TRY(file_open(&x, path));
    npy_put(&x, "<f4", (int64_t[]){s->T, s->N, s->N}, 3, s->x);
    if (!s->time) return file_commit(&x, false);
    Status st = file_open(&times, times_path);
    if (st.code) {
        file_abort(&x);
        return st;
    }
    npy_put(&times, "<i8", &s->T, 1, s->time);
    st = file_sync(&x);                      // both are on the disk before either takes its name
    if (!st.code) st = file_sync(&times);
    if (!st.code) st = file_commit(&times, false);
    if (!st.code) return file_commit(&x, false);
    file_abort(&times);
    file_abort(&x);
    return st;
}
