# shellcheck shell=bash
# Functions of e2e.sh to report, count and await steps. `work` is a directory for logs.
: "${work:?}"

passed=0
failed=0

# check NAME COMMAND...: runs a command that must succeed.
check() {
  local name=$1
  shift
  if "$@" >"$work/check.log" 2>&1; then
    passed=$((passed + 1))
    echo "  ok      $name"
  else
    failed=$((failed + 1))
    echo "  FAILED  $name"
    sed 's/^/          | /' "$work/check.log" | tail -n 15
  fi
}

# within SECONDS COMMAND...: repeats a command until it succeeds, at most SECONDS.
within() {
  local until_s=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < until_s)) || return 1
    sleep 0.2
  done
}

now_ms() { date +%s%3N; }

# says TEXT COMMAND...: whether the output of a command contains a text, whatever its exit status.
says() {
  local text=$1
  shift
  "$@" >"$work/said.log" 2>&1
  grep -qF -- "$text" "$work/said.log" || { cat "$work/said.log"; return 1; }
}

# ends_with STATUS COMMAND...: whether a command ends with an exit status.
ends_with() {
  local expected=$1 status=0
  shift
  "$@" || status=$?
  ((status == expected)) || { echo "expected exit status $expected, got $status"; return 1; }
}

not() { ! "$@"; }
at_least() { (($1 >= $2)) || { echo "$1 is less than $2"; return 1; }; }
at_most() { (($1 <= $2)) || { echo "$1 is more than $2"; return 1; }; }
