// Recorded work of a GPU: kernels and copies between begin and end are kept instead of run, and replayed at one launch.
// Addresses and parameters are those of the recording.  Only for the device of device_cuda; the emulated one keeps nothing
// and returns NULL.
#ifndef LEAD_TENSOR_GRAPH_H
#define LEAD_TENSOR_GRAPH_H

#include "tensor/device.h"

void device_graph_begin(const Device *d);
void *device_graph_end(const Device *d);               // NULL: recording is not to be had
void device_graph_run(const Device *d, void *graph);
void device_graph_free(const Device *d, void *graph);

#endif
