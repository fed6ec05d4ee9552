// The parts that the sections of a report are made of, and the sections themselves.
#ifndef LEAD_REPORT_PAGE_H
#define LEAD_REPORT_PAGE_H

#include "report/report.h"
#include "report/svg.h"

typedef struct Page { Html h; Arena *a; } Page;

// Rates of one column or figure share a unit and their decimals, so that digits of one value stand below each other.
typedef struct RateUnit { double per_kbps; const char *name; int decimals; } RateUnit;
RateUnit rate_unit(double largest_kbps);
const char *rate_text(Arena *a, double kbps);            // one by itself: "12.3 Mbit/s"

// The style sheet, NULL at its end.
extern const char *const report_style[];

void page_section(Page *p, const char *id, const char *title, const char *lead_in);
void page_section_end(Page *p);

// A figure with a caption, which the caller fills with one chart.
void page_figure(Page *p, const char *class_name, const char *caption);
void page_figure_end(Page *p);

// A table.  heads: with '|' between them; the first `texts` columns are words, the others numbers.
void page_table(Page *p, const char *caption, const char *heads, int texts);
void page_table_end(Page *p);
void page_row(Page *p, bool strong);
void page_row_end(Page *p);
void page_word(Page *p, const char *text);
void page_number(Page *p, int decimals, double v);       // not finite: a dash
void page_rate(Page *p, RateUnit u, double kbps);
// A probability as per cent, with a background that grows with it; not finite: a dash.
void page_probability(Page *p, double share);
// A cell that holds svg_range.
void page_range(Page *p, double low, double middle, double high, double lo, double hi, double zero);

typedef struct PageKey { const char *class_name, *name; } PageKey;
void page_legend(Page *p, int n, const PageKey *keys);

void report_data(Page *p, const ReportData *d);
void report_forecast(Page *p, const ReportForecast *f);
void report_eval(Page *p, const ReportEval *e);
void report_links(Page *p, const ReportLinks *l);
void report_failures(Page *p, const ReportFailures *f);
void report_alarms(Page *p, const ReportAlarms *a);

#endif
