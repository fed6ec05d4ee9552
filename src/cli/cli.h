// The command line.  One option table per verb yields the parser, --help and the manifest.  stdout is for programs
// (TSV, CSV, JSON lines), stderr for people.  Exit: 0 done, 1 failed, 2 usage.  Only this directory prints and exits.
#ifndef LEAD_CLI_CLI_H
#define LEAD_CLI_CLI_H

#include <signal.h>
#include <stdio.h>

#include "lead/config.h"
#include "tensor/device.h"
#include "traffic/series.h"

// bool, int64_t, double, const char *; a list is text too, and what is given again is added after a comma
typedef enum OptType { OPT_FLAG, OPT_INT, OPT_NUMBER, OPT_TEXT, OPT_LIST } OptType;

typedef struct Option {
    const char *name;            // "data" is --data
    OptType type;
    size_t offset;               // into the verb's values struct
    const char *meta;            // "FILE"
    const char *help;
    double min, max;             // numbers
} Option;

typedef struct Verb Verb;

typedef struct Cli {
    const Verb *verb;
    const Option *option;        // the verb's table
    int n_options;
    const void *values;          // the verb's values struct, parsed
    Arena *perm, *step, *scratch;
    Device device;
    LeadConfig config;           // verbs with a preset: --config, then --config-file, then options
    const char *config_name;
    int argc;                    // the arguments after the verb's words
    char **argv;
    const char *positional, *positional2;    // NULL when none was given
    const char **paths;          // of a verb with `many`: all of them
    int n_paths;
    volatile sig_atomic_t *stop; // set by SIGINT and SIGTERM
} Cli;

struct Verb {
    const char *name;            // "train", "data info"
    const char *summary;         // one line
    const char *positional;      // name of the positional argument, or NULL; in [] when it may be left out
    const char *positional2;     // of a second one, or NULL
    bool many;                   // any number of positional arguments
    const char *text;            // paragraphs under the usage line, or NULL
    const Option *option;
    int n_options;
    size_t size;                 // of the values struct
    const char *preset;          // not NULL: the verb also takes --config NAME [preset], --config-file FILE and every
                                 // key of lead/config.h
    void (*defaults)(void *values);
    Status (*run)(Cli *cli, void *values);
    bool stops;                  // the verb looks at cli->stop now and then.  In others Ctrl-C ends the process; their
                                 // output files are whole or absent
    bool looks;                  // the verb runs no model: a device that lacks kernels will do
    bool ranks;                  // the verb divides its work among the ranks of mpirun (tensor/ranks.h)
};

#define OPTIONS(table) .option = (table), .n_options = (int)(sizeof(table) / sizeof *(table))

// Options that every verb has.
typedef struct CommonOptions {
    bool help, version, exact, no_graph;
    int64_t threads;
    const char *isa, *device, *math, *manifest;
} CommonOptions;

// Whether --help or -h is among the arguments after the verb's words, wherever: also where a value is wanted, and
// beside what is wrong.  A value of that name is written --text=-h.
bool options_ask_help(int argc, char **argv);
// Parses argv[0..argc), the arguments after the verb's words, into *common and values.  Errors: of usage, which name
// the option.
Status options_parse(Cli *cli, const Verb *v, int argc, char **argv, CommonOptions *common, void *values);
// Sets in *c what the command line says about the configuration: --config (with preset only), --config-file, keys;
// nothing else changes.
// Errors: those of config_preset, config_set and of reading the file.
Status options_config(Cli *cli, LeadConfig *c, bool preset);
// Takes what the command line does not say from the manifest (manifest_json) of the command that began the run: every
// option of the verb but those named in `except`, which ends in NULL.  where: the file, for messages.  Texts live in
// cli->perm.  Error: a value that the option would refuse.
Status options_recall(Cli *cli, void *values, const char *manifest, const char *const *except, const char *where);
void options_help(const Verb *v, FILE *out);

// What --help, the man pages and the shells' completions say of an option.  Pointers are valid during the call.
typedef enum OptionPart { OPTION_OWN, OPTION_COMMON, OPTION_KEY } OptionPart;
typedef struct OptionRow {
    OptionPart part;             // of the verb; of every verb; about the configuration
    const char *name, *meta;     // "data", "FILE" or NULL
    const char *help;
    bool takes_value;
    const char *const *choice;   // the values, NULL at the end; NULL: any
} OptionRow;
// Calls row for each option of v, in the order of --help.
void options_each(const Verb *v, void (*row)(void *ctx, const OptionRow *r), void *ctx);

// "lead 0.1 (commit 2aecbeb50649)"
const char *cli_version(void);

// JSON that says how a result was made: verb, options, seed, commit, compiler, flags, device, time.
const char *manifest_json(const Cli *cli, Arena *a);
void manifest_put(const Cli *cli, JsonWriter *w, const char *key);   // the same as an object of that name
// SHA-256 of the files that the program was compiled from, one after another by name: 64 hex digits.
const char *cli_sources(void);

// Writes it to <path>.manifest.json, beside the result at path; writes nothing when path is a device or a pipe.
Status manifest_write(const Cli *cli, const char *path);

// Writes one line to stderr, for people; names and texts of files in it are made safe to show (tensor/utf8.h).
void cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

// Error: a file that the verb would write (--out, --png, --windows-out, --manifest) is one that it reads, perhaps by
// another name, or holds weights.
Status outputs_check(const Cli *cli, const char *manifest);

// A progress bar on stderr: redrawn in place on a terminal, a line now and then elsewhere.
typedef struct Progress { double last; bool tty; } Progress;
Progress progress_new(void);
// eta_seconds: NaN = not known yet.
void progress_show(Progress *p, int64_t done, int64_t total, double eta_seconds, const char *text, bool force);

// The data options shared by the verbs that read traffic.
typedef struct DataOptions {
    const char *data, *times, *gaps, *invalid;
    const char *unit, *tz, *slot, *aggregate, *fill, *columns, *sampling, *map, *absent, *capacity;   // NULL: not given
    int64_t slot_seconds, calendar_shift;
    bool keep_all, drop_suspicious;
} DataOptions;
#define DATA_OPTIONS(S) \
    {"data", OPT_TEXT, offsetof(S, data.data), "FILE", \
     "traffic matrices: .npz, .npy [T,N,N], CSV, long CSV, JSON lines; the content decides", 0, 0}, \
    {"times", OPT_TEXT, offsetof(S, data.times), "FILE", \
     "times of the rows, .npy or a line each (default: times.npy beside an .npy FILE)", 0, 0}, \
    {"gaps", OPT_TEXT, offsetof(S, data.gaps), "ROWS", \
     "rows of the file before which there is a gap, 12,40,..", 0, 0}, \
    {"invalid", OPT_TEXT, offsetof(S, data.invalid), "ROWS", "rows of the file to leave out, 12,40-50,..", 0, 0}, \
    {"slot-seconds", OPT_INT, offsetof(S, data.slot_seconds), "S", \
     "length of a slot of the file (default: from the file or its times, else 300)", 0, 86400}, \
    {"slot", OPT_TEXT, offsetof(S, data.slot), "TIME", "make longer slots of the data's, such as 15m, 1h, 1d", 0, 0}, \
    {"aggregate", OPT_TEXT, offsetof(S, data.aggregate), "HOW", \
     "a longer slot's value: mean, max or p95 [mean]", 0, 0}, \
    {"fill", OPT_TEXT, offsetof(S, data.fill), "N", \
     "fill holes of at most N slots, single values and absent rows; 0: none [3]", 0, 0}, \
    {"unit", OPT_TEXT, offsetof(S, data.unit), "U", \
     "unit of the values: bit/s .. Tbit/s, B/s, 'B per slot', '100 bytes per 5 minutes' (default: the file's, else " \
     "kbit/s)", 0, 0}, \
    {"tz", OPT_TEXT, offsetof(S, data.tz), "ZONE", \
     "zone of times without one, of hours and weekdays: Europe/Berlin, +02:00 [UTC]", 0, 0}, \
    {"calendar-shift", OPT_INT, offsetof(S, data.calendar_shift), "S", \
     "seconds added to the times before hour and weekday are computed", -1e10, 1e10}, \
    {"columns", OPT_TEXT, offsetof(S, data.columns), "LIST", \
     "columns of a long table: time=T,source=S,destination=D,value=V (default: by their usual names)", 0, 0}, \
    {"sampling", OPT_TEXT, offsetof(S, data.sampling), "N", \
     "multiply the values of a long table by N (default: by its sampling rate, if it has one)", 0, 0}, \
    {"map", OPT_TEXT, offsetof(S, data.map), "FILE", \
     "nodes of a long table's routers or prefixes, a pair a line", 0, 0}, \
    {"absent", OPT_TEXT, offsetof(S, data.absent), "WHAT", \
     "pairs that a slot of a long table does not list: zero or missing (default: zero for bytes)", 0, 0}, \
    {"capacity", OPT_TEXT, offsetof(S, data.capacity), "V", \
     "a value beyond V, such as 10Gbit/s (kbit/s without a unit), is missing", 0, 0}, \
    {"drop-suspicious", OPT_FLAG, offsetof(S, data.drop_suspicious), NULL, \
     "leave suspicious snapshots out: far above or below those of the days around", 0, 0}, \
    {"keep-all", OPT_FLAG, offsetof(S, data.keep_all), NULL, \
     "keep even snapshots of more than 100 times the usual total, which are left out otherwise", 0, 0}
// Reads the series and marks impossible snapshots as invalid (TRAFFIC_IMPOSSIBLE; not with keep_all), with
// drop_suspicious all suspicious ones; reports on stderr what it found.
// Errors: those of traffic_series_read; rows that cannot be parsed or are not in the file; other options with no sense.
Status data_read(Cli *cli, const DataOptions *o, TrafficSeries *s);
// The same to write the series again: nothing is filled unless --fill is given, what is missing is NaN in s->x, and
// suspicious snapshots are not looked for.
Status data_read_to_write(Cli *cli, const DataOptions *o, TrafficSeries *s);

#endif
