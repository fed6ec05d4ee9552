#!/bin/sh
# build.sh OUT: compiles tests/curand/dump.c with nvcc, which knows where its own libcurand is.
set -e
nvcc -O1 -x c tests/curand/dump.c -o "$1" -lcurand
