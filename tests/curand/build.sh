#!/bin/sh
# build.sh OUT: compiles tests/curand/compare.cu with nvcc, which knows where its own libcurand is.
set -e
nvcc -O1 -std=c++17 -arch=sm_90 -fmad=false -Isrc tests/curand/compare.cu -o "$1" -lcurand
