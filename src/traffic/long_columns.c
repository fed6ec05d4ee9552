// Which column of a long table is what.
#include <ctype.h>
#include <string.h>

#include "traffic/long_columns.h"
#include "traffic/times.h"

// In order of preference, without regard to case, blanks, '_', '-' and '.'.
static const char *const usual[LONG_COLUMNS][48] = {
    [LONG_TIME] = {"time", "timestamp", "datetime", "date", "slot", "timebin", "bin", "interval", "stampinserted",
                   "timestampstart", "timestampmin", "timeflowstartns", "timeflowstartms", "timeflowstart",
                   "timereceivedns", "timereceived", "flowstart", "starttime", "start", "firstseen", "first", "tsfirst",
                   "ts", "tstart", "period", "eventtime"},
    [LONG_SOURCE] = {"source", "src", "origin", "from", "srcnode", "sourcenode", "nodea", "ingress", "peeripsrc",
                     "peersrcip", "exportername", "srcrouter", "srcname", "srchost", "ipsrc", "srcip", "srcaddr",
                     "src4addr", "src6addr", "sourceip", "sourceaddress", "sourceipv4address", "sa", "srcnetname",
                     "srcnet", "netsrc", "srcas", "assrc", "samplername", "exporteraddress", "sampleraddress", "o"},
    [LONG_DESTINATION] = {"destination", "dst", "dest", "to", "target", "dstnode", "destinationnode", "nodez",
                          "egress", "peeripdst", "peerdstip", "bgpnexthop", "dstrouter", "dstname", "dsthost", "ipdst",
                          "dstip", "dstaddr", "dst4addr", "dst6addr", "destinationip", "destaddress",
                          "destinationaddress", "destinationipv4address", "da", "dstnetname", "dstnet", "netdst",
                          "dstas", "asdst", "nexthop", "d"},
    [LONG_VALUE] = {"kbps", "mbps", "gbps", "bps", "value", "rate", "traffic", "demand", "bandwidth", "bw", "volume",
                    "load", "throughput", "bytes", "octets", "inbytes", "ibyt", "octetdeltacount", "l3bytes",
                    "totalbytes", "sumbytes", "bits"},
    [LONG_SAMPLING] = {"samplingrate", "samplinginterval"},
};

static void plain_name(char out[64], TextField f)
{
    size_t n = 0;
    for (size_t i = 0; i < f.n && n < 63; i++)
        if (isalnum((unsigned char)f.p[i])) out[n++] = (char)tolower((unsigned char)f.p[i]);
    out[n] = 0;
}

static int find_usual(const TextField *name, int n, LongColumn what)
{
    for (int i = 0; i < 48 && usual[what][i]; i++)
        for (int k = 0; k < n; k++) {
            char plain[64];
            plain_name(plain, name[k]);
            if (!strcmp(plain, usual[what][i])) return k;
        }
    return -1;
}

bool long_columns_usual(int column[LONG_COLUMNS], const TextField *name, int n)
{
    TrafficUnit u;
    for (int c = 0; c < LONG_COLUMNS; c++) column[c] = find_usual(name, n, (LongColumn)c);
    for (int k = 0; k < n && column[LONG_VALUE] < 0; k++) {
        char text[64];
        snprintf(text, sizeof text, "%.*s", (int)name[k].n, name[k].p);
        if (unit_of_column(text, &u)) column[LONG_VALUE] = k;
    }
    return column[LONG_SOURCE] >= 0 && column[LONG_DESTINATION] >= 0 && column[LONG_VALUE] >= 0;
}

static int find_name(const TextField *name, int n, TextField want)
{
    double v;
    for (int k = 0; k < n; k++)
        if (name[k].n == want.n && !memcmp(name[k].p, want.p, want.n)) return k;
    return text_number(want, '.', &v) && v >= 1 && v <= n ? (int)v - 1 : -1;
}

Status long_columns_asked(int column[LONG_COLUMNS], const char *asked, const TextField *name, int n, const char *path)
{
    static const char *const role[LONG_COLUMNS] = {"time", "source", "destination", "value", "sampling"};
    for (int c = 0; c < LONG_COLUMNS; c++) column[c] = -1;
    for (const char *p = asked; *p;) {
        const char *end = p + strcspn(p, ","), *equal = memchr(p, '=', (size_t)(end - p));
        int c = 0;
        while (equal && c < LONG_COLUMNS && !text_is((TextField){p, (size_t)(equal - p)}, role[c])) c++;
        if (!equal || c == LONG_COLUMNS)
            return USAGE_ERROR("--columns: want time=NAME,source=NAME,destination=NAME,value=NAME, got '%s'", asked);
        const TextField want = {equal + 1, (size_t)(end - equal - 1)};
        column[c] = find_name(name, n, want);
        if (column[c] < 0)
            return ERROR("%s: --columns: want a column '%.*s', found none", path, TEXT_SHOW(want));
        p = *end ? end + 1 : end;
    }
    for (int c = LONG_SOURCE; c <= LONG_VALUE; c++)
        if (column[c] < 0) return USAGE_ERROR("--columns: want %s=NAME too, got '%s'", role[c], asked);
    return OK;
}
