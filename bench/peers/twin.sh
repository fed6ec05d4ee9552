#!/bin/sh
# The whole model against its PyTorch twin, in several configurations.   twin.sh BUILD PYTHON [quick]
# f64 runs (reference kernels): bounds 1e-12 of the loss, 1e-10 of gradients; f32 runs (the fastest kernels): 1e-5, 1e-3.
build=$1 python=$2 quick=$3 failed=0 n=0
here=$(dirname "$0")
file=$(mktemp "${TMPDIR:-/tmp}/lead_twin.XXXXXX") || exit 1
trap 'rm -f "$file"' EXIT
twin() {
    echo "---- $*"
    n=$((n + 1))
    "$build/bench/dump_step" --out "$file" "$@" && "$python" "$here/lead_twin.py" "$file" || failed=$((failed + 1))
}
twin --f64 --noise 0.05 --config image batch=4
twin --f64 --noise 0.1 --config tiny --synth 5 --steps 3 batch=8 dropout=0.1 warmup=0 lora_rank=3 lora_targets=all
twin --f64 --noise 0.1 --config tiny --synth 9 batch=8 prediction=epsilon target=level pixel_condition=false \
     loss_traffic=0.3 loss_pool=0.2 loss_sobel=0.1 schedule=linear
twin --f64 --noise 0.1 --config tiny --synth 6 batch=8 prediction=x0 horizons=rollout encoding=grey adapter_width=0 \
     schedule=scaled-linear min_snr_gamma=0 cond_drop=0 scale=log
twin --f64 --noise 0.05 --config demo --synth 17 batch=3 denoiser=unet conditions=dual \
     prediction=epsilon loss_pool=0.5 unet_levels=4 scale=quantile
echo "---- one kernel of the vision encoder changed by 1e-8: must not agree"
if "$python" "$here/lead_twin.py" "$file" --spoil vision.stem.0.weight > "$file.log"; then
    echo "the comparison is blind"
    failed=$((failed + 1))
else
    grep FAILED "$file.log"
fi
rm -f "$file.log"
twin --f64 --noise 0.05 --config small --synth 9 --steps 3 batch=3
twin --f64 --noise 0.1 --config demo --synth 5 batch=3 conditions=global cond_drop=0.4 loss_traffic=0.3
twin --f64 --noise 0.05 --config demo --synth 6 batch=3 denoiser=both conditions=dual
twin --f64 --noise 0.05 --config demo --synth 5 batch=3 denoiser=unet conditions=sequence vision=single \
     llm_kind=attention scale_head=false
twin --f64 --noise 0.05 --config demo --synth 5 batch=3 conditions=global vision=linear llm_kind=none mean_head=false \
     point=samples base=last flow_context=false
twin --f64 --noise 0.05 --config small --synth 7 --steps 3 batch=3 flow_identity=statistics level_jitter=0.6
twin --config image --steps 5
twin --config small --steps 5
twin --noise 0.05 --config image --steps 3
if [ -z "$quick" ]; then
    twin --f64 --noise 0.03 --config paper batch=2
    twin --config paper --steps 3
    twin --noise 0.03 --config paper batch=8
fi
echo "twin: $((n - failed)) of $n configurations agree"
[ $failed = 0 ]
