// From what the verbs computed to the structs of a report (report/report.h).  Everything lives in cli->perm.
#ifndef LEAD_CLI_REPORT_PARTS_H
#define LEAD_CLI_REPORT_PARTS_H

#include "cli/eval.h"
#include "cli/network.h"
#include "report/report.h"

// Before the work of a verb with --report: that the page can be written, and that it is not mixed with the table on
// stdout.  report NULL: nothing to do.
Status parts_try(const char *report, const char *out);

void parts_data(Report *r, Arena *a, const TrafficSeries *s, const char *name);
// Total and largest flows of a forecast that has paths; the numbers are those that lead forecast prints.
void parts_forecast(Report *r, Cli *cli, const PathsForecast *f);
void parts_eval(Report *r, Arena *a, const EvalScores *e);
// above [n]: utilisations whose probabilities are shown.  The numbers are those of lead loads.
void parts_links(Report *r, Cli *cli, const PathsForecast *f, const Network *net, const double *above, int n);
// Every failure that `fail` names (links/whatif.h), as lead whatif has them.  Error: a word that is none.
Status parts_failures(Report *r, Cli *cli, const PathsForecast *f, const Network *net, const char *fail,
                      const double *above, int n);

// Writes the page, and its manifest beside it.  title NULL: made of the name of the data, or of `name` where they have
// none.
Status parts_write(Report *r, Cli *cli, const char *title, const char *name, const char *path);

#endif
