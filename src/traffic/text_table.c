#include "traffic/csv.h"
#include "traffic/long.h"

Status text_table_read(TrafficTable *out, Arena *a, const TextSource *s, const TrafficReadOptions *o,
                       TrafficNotes *notes)
{
    bool is_long;
    TRY(long_is(&is_long, a, s, o));
    return is_long ? long_read(out, a, s, o, notes) : csv_read(out, a, s, o, notes);
}
