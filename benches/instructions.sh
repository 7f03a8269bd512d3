#!/usr/bin/env bash
# What a packet costs in instructions, allocations and bytes allocated: figures that a busy machine does not move.
#
#   benches/instructions.sh [INPUT...]            a table; an INPUT is KIND@SCALE as `benches/inputs.rs` has it
#   benches/instructions.sh --profile INPUT       where they go, function by function
#
# The whole program (`analyze --format json`) under valgrind's callgrind; what it does for a capture without packets is
# subtracted. Allocations are those of `benches/allocations.rs`, under dhat. Keep inputs small: valgrind is fifty times slower.
# One thread; PINCHPOINT_ARGS are more arguments for the program.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v valgrind >/dev/null; then
  echo "valgrind is not installed (apt install valgrind)" >&2
  exit 1
fi
flag=--profile
. benches/common.sh
profile=$given inputs=("${rest[@]}")
if [ ${#inputs[@]} = 0 ]; then
  inputs=(big@0.02 small@0.01 many@0.01 open@0.003 handshakes@0.01 one@0.03 throttled@0.01 ordinary@0.05)
fi
read -ra more <<<"${PINCHPOINT_ARGS:-}"
program=("$PINCHPOINT" analyze --quiet --format json ${threads:+--threads 1} "${more[@]}")

under() { # TOOL COMMAND...: what a tool of valgrind says of it, on standard output
  local tool=$1
  shift
  valgrind --tool="$tool" --"$tool"-out-file="$tmp/$tool" "$@" 2>&1 >/dev/null || true
}
instructions() { under callgrind "${program[@]}" "$1" | sed -n 's/.*Collected : \([0-9]*\).*/\1/p'; }
allocations() { # bytes and blocks, over the whole run, and the bytes in use at the peak
  under dhat "$whole" "$1" | tr -d , | sed -n 's/.*Total: *\([0-9]*\) bytes in \([0-9]*\) blocks.*/\1 \2/p; s/.*At t-gmax: *\([0-9]*\) bytes.*/\1/p' | xargs
}
packets() { "${program[@]}" "$1" | grep -o '"packets":[0-9]*' | sed -n 's/.*://;1p'; }

if [ -n "$profile" ]; then
  file=$(input "${inputs[0]}")
  instructions "$file" >/dev/null
  for inclusive in no yes; do
    echo "inclusive: $inclusive"
    callgrind_annotate --show-percs=yes --inclusive="$inclusive" --auto=no "$tmp/callgrind" | sed -n '/file:function/,$p' | sed -n 3,50p
  done
  exit
fi

whole=$(built allocations)
empty=$(input big@0)
start=$(instructions "$empty")
read -r start_bytes start_blocks _ <<<"$(allocations "$empty")"
machine
echo "benches/instructions.sh $*; $(valgrind --version); without packets: $start instructions"
echo
echo "| input | packets | instructions a packet | allocations a packet | bytes allocated a packet | peak of the heap, MB |"
echo "|---|---|---|---|---|---|"
for input in "${inputs[@]}"; do
  file=$(input "$input")
  n=$(packets "$file")
  read -r bytes blocks peak <<<"$(allocations "$file")"
  awk -v input="$input" -v n="$n" -v i="$(instructions "$file")" -v i0="$start" -v a="$blocks" -v a0="$start_blocks" \
    -v b="$bytes" -v b0="$start_bytes" -v peak="$peak" 'BEGIN {
      printf "| %s | %d | %.0f | %.2f | %.0f | %.1f |\n", input, n, (i - i0) / n, (a - a0) / n, (b - b0) / n, peak / 1e6 }'
done
