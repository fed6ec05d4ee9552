// Recorded work of a GPU: kernels, copies within the device and clearing between begin and end are kept instead of
// done, and done at each run, in order, for the price of one launch.  Addresses and parameters are those of the
// recording: what differs from run to run is read from device memory (a clock, rates, indices).  A value that goes in
// or out between begin and end (device_put, device_get, device_wait) is a bug and stops the program.
#ifndef LEAD_TENSOR_GRAPH_H
#define LEAD_TENSOR_GRAPH_H

#include "tensor/device.h"

bool device_graphs(const Device *d);                   // can record, and is not told otherwise (Device.no_graph)
void device_graph_begin(const Device *d);              // these want a device that can
void *device_graph_end(const Device *d);
void device_graph_run(const Device *d, void *graph);
void device_graph_free(const Device *d, void *graph);
int64_t device_graph_nodes(const Device *d, void *graph);   // kernels, copies and clearings

// Work that is done many times.  On a device that records: as it is the first time, recorded the second time, from then
// on run as recorded, so that the host calls nothing of it; elsewhere as it is each time.  {0}: not done yet.
typedef struct Repeated { void *graph; bool warm; } Repeated;
typedef void RepeatedWork(void *ctx);

void device_repeat(const Device *d, Repeated *r, RepeatedWork *work, void *ctx);
void device_repeat_end(const Device *d, Repeated *r);  // forgets it

#endif
