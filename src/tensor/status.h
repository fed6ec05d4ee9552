// Errors.  Two kinds, never mixed:
//   the world (files, options, data, memory)  -> a Status is returned; its message says what was wanted and what
//                                                was found, with units.  Only src/cli prints it and exits.
//   a bug (shape mismatch inside the program) -> CHECK prints file, line and message, and aborts, also in release.
#ifndef LEAD_TENSOR_STATUS_H
#define LEAD_TENSOR_STATUS_H

#include <stdbool.h>

typedef struct Status {
    int code;            // 0 = fine, 1 = failed, 2 = usage (wrong option or config key)
    int line;            // where the error was made
    const char *file;
    char msg[488];       // one line, no newline at the end; safe to show (utf8.h, text_clean)
} Status;

#define OK ((Status){.code = 0})
#define ERROR(...) status_error(1, __FILE__, __LINE__, __VA_ARGS__)
#define USAGE_ERROR(...) status_error(2, __FILE__, __LINE__, __VA_ARGS__)

// Returns from the calling function with the Status of expr when it failed.
#define TRY(expr) do { Status try_status_ = (expr); if (try_status_.code) return try_status_; } while (0)

// Stops on a bug.  CHECK(a == b, "linear: want K=%d, got %d", a, b)
#define CHECK(cond, ...) do { if (!(cond)) check_failed(__FILE__, __LINE__, #cond, __VA_ARGS__); } while (0)

Status status_error(int code, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void check_failed(const char *file, int line, const char *cond, const char *fmt, ...)
    __attribute__((format(printf, 4, 5), noreturn));   // no _Noreturn: C++ reads this header too (cuda/)

#endif
