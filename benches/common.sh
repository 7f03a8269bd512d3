# Sourced by the scripts beside it, with their arguments: `--rounds=N` is put into `n`, `given` is set where the script's own `$flag`
# is among them, and the others go to `rest`. Builds what they run; runs commands in turn, round by round, and gives medians: wall and
# CPU time by bash's `time`, memory by GNU time where it is installed. PINCHPOINT names another binary than the release build.
given= rest=()
for arg in "$@"; do
  case $arg in
    --rounds=*) n=${arg#*=} ;;
    "$flag") given=1 ;;
    -*) echo "$0: there is no option $arg" >&2 && exit 2 ;;
    *) rest+=("$arg") ;;
  esac
done
export LC_ALL=C
tmp=$(mktemp -d -p "$( [ -w /dev/shm ] && echo /dev/shm || echo /tmp)")
trap 'rm -rf "$tmp"' EXIT
TIMEFORMAT='%R %U %S'
gnu_time=$(type -P time || true)

# The programs of the side-by-side run: for each name the most rounds that it takes part in, what it does, and its command,
# for `sh`, with the capture in $FILE.
names=()
declare -A most does command

# forget: no programs
forget() { names=(); rm -f "$tmp"/*.times; }

# program NAME BINARY ROUNDS WHAT COMMAND: one more, if its binary is installed
program() {
  if ! type -P "$2" >/dev/null; then
    echo "skipped: $1 ($2 is not installed)" >&2
    return
  fi
  names+=("$1")
  most[$1]=$3 does[$1]=$4 command[$1]=$5
}

# once NAME [OUT]: runs it, and notes wall, CPU and memory; what it prints goes to OUT, which is /dev/null unless said
once() {
  local name=$1 out=${2:-/dev/null} run=() times rss=0
  if [ -n "$gnu_time" ]; then run=("$gnu_time" -q -f %M -o "$tmp/rss"); fi
  times=$( { time "${run[@]}" sh -c "${command[$name]}" >"$out" 2>"$tmp/err"; } 2>&1 ) ||
    echo "$name failed: $(tail -1 "$tmp/err")" >&2
  [ -z "$gnu_time" ] || rss=$(cat "$tmp/rss")
  echo "$times $rss" | awk '{ print $1, $2 + $3, $4 / 1024 * 1.048576 }' >>"$tmp/$name.times"
}

# rounds N: all of them in turn, N times
rounds() {
  local n name
  for ((n = 1; n <= $1; n++)); do
    for name in "${names[@]}"; do
      if ((n <= most[$name])); then once "$name"; fi
    done
  done
}

# numbers on standard input: their median
median() { sort -g | awk '{ v[NR] = $1 } END { print NR == 0 ? "nan" : v[int((NR + 1) / 2)] }'; }
# wall|cpu|rss NAME: the median
wall() { cut -d' ' -f1 "$tmp/$1.times" | median; }
cpu() { cut -d' ' -f2 "$tmp/$1.times" | median; }
rss() { cut -d' ' -f3 "$tmp/$1.times" | median; }
# spread NAME: the least and the most wall time
spread() { cut -d' ' -f1 "$tmp/$1.times" | sort -g | sed -n '1p;$p' | paste -sd- | sed 's/-/–/'; }
# ratio A B: of wall times, round by round, the median
ratio() { paste -d' ' "$tmp/$1.times" "$tmp/$2.times" | awk 'NF == 6 { print $1 / $4 }' | median | xargs printf %.2f; }
# cpu_ratio A B: of CPU times
cpu_ratio() { paste -d' ' "$tmp/$1.times" "$tmp/$2.times" | awk 'NF == 6 { print $2 / $5 }' | median | xargs printf %.2f; }

# input WORDS: the path of a capture, made if need be, and read once so that it is in the page cache
input() {
  local path
  path=$("$inputs_bench" "$1")
  cat "$path" >/dev/null
  echo "$path"
}

# machine: what ran this, in a line
machine() {
  local model
  model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -1)
  echo "$(nproc) × ${model:-?}, $(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo), $(uname -sr); commit" \
    "$(git rev-parse --short HEAD)$(git diff --quiet HEAD -- src Cargo.toml || echo ' and changes'); $(date -u +%F); load $(cut -d' ' -f1 /proc/loadavg)"
}

# built NAME: the binary of a bench
built() {
  local said
  said=$(cargo bench --no-default-features --no-run --bench "$1" 2>&1) || { echo "$said" >&2; return 1; }
  sed -n 's/.*Executable.*(\(.*\))/\1/p' <<<"$said"
}
inputs_bench=$(built inputs)
if [ -z "${PINCHPOINT:-}" ]; then
  cargo build --release --no-default-features --quiet
  PINCHPOINT=$PWD/target/release/pinchpoint
fi
threads=
if "$PINCHPOINT" analyze --help | grep -q -e --threads; then threads=1; fi

# pinchpoint_on THREADS: the command that analyses $FILE
pinchpoint_on() {
  echo "$PINCHPOINT analyze --quiet --format json ${threads:+--threads $1 }${2:-} \"\$FILE\""
}
