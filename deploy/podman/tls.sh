# shellcheck shell=bash disable=SC2154,SC2034
# The part tls of prove.sh, with its functions and variables.

prove_tls() {
  echo 'TLS and tokens: compose.tls.yaml'
  if ! command -v openssl >/dev/null; then
    echo '          skipped: openssl is not installed'
    return
  fi
  export TLS_DIR=$work/tls
  overlay=$here/../compose.tls.yaml
  mkdir -p "$TLS_DIR"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=heimdex \
    -addext 'subjectAltName=DNS:localhost,DNS:model-service,IP:127.0.0.1' -keyout "$TLS_DIR/tls.key" -out "$TLS_DIR/tls.crt" 2>/dev/null
  cp "$TLS_DIR/tls.crt" "$TLS_DIR/ca.crt"
  echo a-token-for-this-test-alone >"$TLS_DIR/tokens"
  chown -R 1000:1000 "$TLS_DIR"
  chmod 711 "$work"
  local as_caller=(--tls-ca "$TLS_DIR/ca.crt" --token-file "$TLS_DIR/tokens")
  start_hub
  check 'up' compose up -d --no-build
  check 'the service is ready' within "$patience_s" curl -sf -m 2 --cacert "$TLS_DIR/ca.crt" "https://$HEIMDEX_ADDRESS/readyz"
  check 'the image health check passes' podman healthcheck run "$service"
  check 'plain HTTP is refused' not ready
  check 'speech, with the token' says 'on Saturday' heimdex transcribe "${as_caller[@]}" "$root/demo/samples/speech/party.flac"
  check 'and not without it' says 'To send a token' heimdex transcribe "${as_caller[@]:0:2}" "$root/demo/samples/speech/party.flac"
  take_down
  overlay=
}
