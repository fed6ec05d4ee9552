// Seconds of the two clocks that this project reads.
#ifndef LEAD_TENSOR_CLOCK_H
#define LEAD_TENSOR_CLOCK_H

double clock_seconds(void);          // since some moment in the past; never set back
double clock_thread_seconds(void);   // processor time of the calling thread

#endif
