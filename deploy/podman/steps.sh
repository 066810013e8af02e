# shellcheck shell=bash
# For prove.sh: how a step is said, counted and waited for. `work` is a directory for logs.
: "${work:?}"

passed=0
failed=0

# check WORDS COMMAND...: one thing that must hold.
check() {
  local words=$1
  shift
  if "$@" >"$work/check.log" 2>&1; then
    passed=$((passed + 1))
    echo "  ok      $words"
  else
    failed=$((failed + 1))
    echo "  FAILED  $words"
    sed 's/^/          | /' "$work/check.log" | tail -n 15
  fi
}

# Waits until a command succeeds, SECONDS at most.
within() {
  local until_s=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < until_s)) || return 1
    sleep 0.2
  done
}

now_ms() { date +%s%3N; }

# Does the output of a command hold this text? How the command ends does not matter.
says() {
  local text=$1
  shift
  "$@" >"$work/said.log" 2>&1
  grep -qF -- "$text" "$work/said.log" || { cat "$work/said.log"; return 1; }
}

# Does a command end with this exit status?
ends_with() {
  local wanted=$1 status=0
  shift
  "$@" || status=$?
  ((status == wanted)) || { echo "expected exit status $wanted, got $status"; return 1; }
}

not() { ! "$@"; }
at_least() { (($1 >= $2)) || { echo "$1 is less than $2"; return 1; }; }
at_most() { (($1 <= $2)) || { echo "$1 is more than $2"; return 1; }; }

# Runs a command, and once more when it fails.
twice() {
  "$@" || "$@"
}
