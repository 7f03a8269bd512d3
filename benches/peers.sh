#!/usr/bin/env bash
# Other programs and pinchpoint on the same captures, side by side: in turn, round by round, medians.
#
#   benches/peers.sh [--rounds=N] [--fast] [INPUT...]      an INPUT is KIND[@SCALE] as `benches/inputs.rs` has it
#
# What is not installed is skipped and named (Debian: tcpdump tshark softflowd tcptrace argus-server argus-client nfdump
# libndpi-bin suricata). Programs that take minutes run once; --fast leaves them out. pinchpoint runs with every detector and
# writes its JSON; ratios are its wall time by the other's, of the same round. Captures are in the page cache, what is printed
# goes to /dev/null.
set -euo pipefail
cd "$(dirname "$0")/.."
n=5 flag=--fast
. benches/common.sh
fast=$given inputs=("${rest[@]}")
[ ${#inputs[@]} -gt 0 ] || inputs=(big small many)

slow() { [ -n "$fast" ] || program "$@"; }
programs() {
  program "pinchpoint" "$PINCHPOINT" 99 "verdicts: flows, TCP analysis, names, every detector; JSON" "$(pinchpoint_on 1)"
  [ -z "$threads" ] || program "pinchpoint, $(nproc) threads" "$PINCHPOINT" 99 "the same" "$(pinchpoint_on "$(nproc)")"
  program "cat" cat 99 "reads" 'cat "$FILE"'
  program "capinfos" capinfos 99 "counts packets" 'capinfos -M -csdu "$FILE"'
  program "tcpdump -w" tcpdump 99 "copies to /dev/null" 'tcpdump -r "$FILE" -w /dev/null'
  program "tcpdump, filter" tcpdump 99 "prints resets" "tcpdump -nr \"\$FILE\" 'tcp[tcpflags] & tcp-rst != 0'"
  program "softflowd" softflowd 99 "flow records (NetFlow 9), at most 8,192 flows at a time" \
    'softflowd -d -v 9 -n 127.0.0.1:9 -p none -c none -r "$FILE"'
  program "nfpcapd" nfpcapd 99 "flow records, to files" "d=\$(mktemp -d -p $tmp); nfpcapd -r \"\$FILE\" -w \$d; rm -r \$d"
  program "argus and ra" ra 3 "flow records with losses, as text" 'argus -r "$FILE" -w - | ra -n -r -'
  program "tcptrace" tcptrace 3 "TCP analysis; prints counts" 'tcptrace -n "$FILE"'
  program "tcptrace -lrW" tcptrace 3 "TCP analysis; prints all of each connection" 'tcptrace -n -l -r -W "$FILE"'
  program "ndpiReader" ndpiReader 2 "flows, protocols, names" "ndpiReader -q -i \"\$FILE\" -C $tmp/ndpi"
  program "suricata" suricata 2 "flows, reassembly, names; no rules" \
    "mkdir -p $tmp/eve; suricata --runmode single -S /dev/null -l $tmp/eve -r \"\$FILE\"; rm -r $tmp/eve"
  slow "tshark, conversations" tshark 1 "flow records" 'tshark -nq -z conv,tcp -r "$FILE"'
  slow "tshark, analysis" tshark 1 "TCP analysis, resets, names" \
    "tshark -n -r \"\$FILE\" -Y 'tcp.analysis.flags || tcp.flags.reset == 1 || tls.handshake.extensions_server_name' -T fields -e frame.number -e tcp.stream -e tls.handshake.extensions_server_name"
}

machine
echo "benches/peers.sh $*; $n rounds"
for words in "${inputs[@]}"; do
  forget
  FILE=$(input "$words")
  export FILE
  programs
  rounds "$n"
  once pinchpoint "$tmp/out"
  packets=$(grep -o '"packets":[0-9]*' "$tmp/out" | sed -n 's/.*://;1p')
  sed -i '$d' "$tmp/pinchpoint.times" # that run was outside of the rounds
  bytes=$(stat -c %s "$FILE")
  echo
  echo "$words: $packets packets, $((bytes / 1000000)) MB"
  echo
  echo "| program | does | wall, s | least–most | CPU, s | memory, MB | million packets/s | pinchpoint takes |"
  echo "|---|---|---|---|---|---|---|---|"
  for name in "${names[@]}"; do
    w=$(wall "$name")
    printf '| %s | %s | %.3f | %s | %.3f | %.0f | %s | %s× |\n' "$name" "${does[$name]}" "$w" "$(spread "$name")" "$(cpu "$name")" \
      "$(rss "$name")" "$(awk -v p="$packets" -v w="$w" 'BEGIN { printf "%.2f", p / w / 1e6 }')" "$(ratio pinchpoint "$name")"
  done
done
