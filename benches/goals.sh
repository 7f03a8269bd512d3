#!/usr/bin/env bash
# The goals of speed and memory, each beside what is measured: one line a goal.
#
#   benches/goals.sh [--rounds=N] [--long] [GOAL...]
#
# GOALs: big small many threads open memory cold growth hostile; without any, all. --long takes growth to 10⁸ packets and
# memory to ten times `big`, made on the fly. What is printed goes to /dev/null. Ratios are of wall times in the same round,
# growth is of CPU time. `cold` needs root, to empty the page cache; the first three need tcpdump and softflowd.
set -euo pipefail
cd "$(dirname "$0")/.."
n=7 flag=--long
. benches/common.sh
long=$given goals=("${rest[@]}")
[ ${#goals[@]} -gt 0 ] || goals=(big small many threads open memory cold growth hostile)
stages=$(built stages)
row() { printf '| %s | %s | %s |\n' "$1" "$2" "$3"; }

# against PEER COMMAND GOAL INPUT: pinchpoint's wall time by a peer's
against() {
  forget
  FILE=$(input "$4")
  export FILE
  program pinchpoint "$PINCHPOINT" 99 "" "$(pinchpoint_on 1)"
  program "$1" "${2%% *}" 99 "" "$2"
  [ ${#names[@]} = 2 ] || return 0
  rounds "$n"
  row "$4, time by that of $1" "≤ $3×" "$(ratio pinchpoint "$1")× ($(wall pinchpoint) s by $(wall "$1") s; pinchpoint $(spread pinchpoint), $1 $(spread "$1"); CPU $(cpu_ratio pinchpoint "$1")×)"
}

goal_big() { against "tcpdump -w" 'tcpdump -r "$FILE" -w /dev/null' 0.55 big; }
goal_small() { against "tcpdump -w" 'tcpdump -r "$FILE" -w /dev/null' 0.95 small; }
goal_many() { against softflowd 'softflowd -d -v 9 -n 127.0.0.1:9 -p none -c none -r "$FILE"' 0.27 many; }

goal_threads() {
  local words goal
  if [ -z "$threads" ]; then
    row "two threads by one" "" "there is no --threads"
    return
  fi
  for words in big small many throttled; do
    case $words in many) goal="≥ 1.3×" ;; throttled) goal="≥ 1.7×" ;; *) goal="≥ 1×" ;; esac
    forget
    FILE=$(input "$words")
    export FILE
    program one "$PINCHPOINT" 99 "" "$(pinchpoint_on 1)"
    program two "$PINCHPOINT" 99 "" "$(pinchpoint_on 2)"
    rounds "$n"
    sh -c "$(pinchpoint_on 1)" >"$tmp/1.json" || true
    sh -c "$(pinchpoint_on 2)" | cmp - "$tmp/1.json" && same="same bytes" || same="OTHER BYTES"
    row "$words, two threads: so many times as fast as one" "$goal" "$(ratio one two)× ($(wall one) s, $(wall two) s); $same"
  done
}

goal_open() {
  local file each
  file=$(input open)
  each=$("$stages" "--memory=$file")
  row "memory of an open connection, 1,000,000 open" "≤ 400 B" "${each#memory: }"
  for words in open open@0.015; do
    forget
    FILE=$(input "$words")
    export FILE
    program pinchpoint "$PINCHPOINT" 99 "" "$(pinchpoint_on 1 " --max-connections 2000000")"
    rounds 3
    cpu pinchpoint >"$tmp/$words.cpu"
  done
  # the small one has 15/1000 of the packets
  row "CPU a packet with 1,000,000 open by that with 15,000" "≤ 2×" \
    "$(awk -v a="$(cat "$tmp/open.cpu")" -v b="$(cat "$tmp/open@0.015.cpu")" 'BEGIN { printf "%.2f× (%.2f s, %.3f s)", a * 0.015 / b, a, b }')"
}

goal_memory() {
  local file
  file=$(input big)
  row "memory on big" "≤ 64 MB beyond the open connections" "$("$stages" "--memory=$file" | sed 's/^memory: //')"
  [ -z "$long" ] || row "peak on ten times big, through a pipe" "flat, but for the rows" "$(through_a_pipe big@10)"
}

goal_cold() {
  if ! { sync && echo 3 >/proc/sys/vm/drop_caches; } 2>/dev/null; then
    row "cold file, time by that of cat" "≤ 1.15×" "not measured: needs root"
    return
  fi
  forget
  FILE=$(input big)
  export FILE
  program cat cat 99 "" 'cat "$FILE"'
  program pinchpoint "$PINCHPOINT" 99 "" "$(pinchpoint_on 1)"
  for ((i = 0; i < n; i++)); do
    for name in "${names[@]}"; do
      echo 3 >/proc/sys/vm/drop_caches
      once "$name"
    done
  done
  row "cold file, time by that of cat" "≤ 1.15×" "$(ratio pinchpoint cat)× ($(wall pinchpoint) s by $(wall cat) s; pinchpoint $(spread pinchpoint), cat $(spread cat))"
}

# through_a_pipe INPUT: CPU time and memory on a capture that is made as it is read
through_a_pipe() {
  forget
  program pipe "$PINCHPOINT" 99 "" "$PINCHPOINT analyze --quiet --format json ${threads:+--threads 1} -"
  "$inputs_bench" "$1" --pipe | once pipe "$tmp/out"
  local packets
  packets=$(head -c 4000 "$tmp/out" | grep -o '"packets":[0-9]*' | sed -n 's/.*://;1p')
  awk -v p="$packets" -v c="$(cpu pipe)" -v m="$(rss pipe)" 'BEGIN { printf "%d packets: %.0f ns of CPU a packet, peak %.0f MB", p, c * 1e9 / p, m }'
}

goal_growth() {
  local words
  for words in small@0.03 small@0.3 small@3 many@0.03 many@0.3 many@3; do
    row "growth, $words through a pipe" "linear" "$(through_a_pipe "$words")"
  done
  [ -z "$long" ] || row "growth, small@30 through a pipe" "linear" "$(through_a_pipe small@30)"
}

goal_hostile() {
  local worst
  "$stages" hostile --rounds="$n" >"$tmp/hostile"
  worst=$(grep '^|' "$tmp/hostile" | sed 1,2d | awk -F'|' '{ print $5, "judged,", $7, "written:", $2 }' | sort -g | tail -1 | xargs)
  row "hostile packets, cost by that of ordinary ones" "≤ 4×" "worst: $worst; $(tail -1 "$tmp/hostile")"
}

machine
echo "benches/goals.sh $*; medians of $n rounds"
echo
echo "| what | goal | measured |"
echo "|---|---|---|"
for goal in "${goals[@]}"; do "goal_$goal"; done
