// Decimal numbers in text, to the nearest double: what strtod gives in the C locale, several times as fast.
#ifndef LEAD_IO_NUMBER_H
#define LEAD_IO_NUMBER_H

// Reads [+-]digits[.digits][e[+-]digits], nan, inf or infinity at p, which need not end in a NUL.  `point` is the
// decimal point, '.' or ','.  Returns the place behind the number; NULL when there is none before `end`.
const char *number_parse(const char *p, const char *end, char point, double *v);

#endif
