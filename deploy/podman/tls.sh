# shellcheck shell=bash disable=SC2154,SC2034
# The part tls of e2e.sh, with its functions and variables.

# put NAME: replaces a file of TLS_DIR, as renewals do: by another file of that name.
put() {
  cat >"$TLS_DIR/$1.new"
  chown 1000:1000 "$TLS_DIR/$1.new"
  mv "$TLS_DIR/$1.new" "$TLS_DIR/$1"
}

# Makes a new key and a certificate that no authority has signed, as docs/containers.md does.
new_certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=heimdex \
    -addext basicConstraints=critical,CA:FALSE -addext 'subjectAltName=DNS:localhost,DNS:model-service,IP:127.0.0.1' \
    -keyout "$work/made.key" -out "$work/made.crt" 2>/dev/null
  put tls.key <"$work/made.key"
  put tls.crt <"$work/made.crt"
}

# Makes a certificate for the same key that expired yesterday.
expire_certificate() {
  openssl req -new -key "$TLS_DIR/tls.key" -subj /CN=heimdex -out "$work/made.csr" 2>/dev/null
  openssl x509 -req -in "$work/made.csr" -signkey "$TLS_DIR/tls.key" -days -1 -out "$work/made.crt" 2>/dev/null
  put tls.crt <"$work/made.crt"
}

# As the probes of Kubernetes: over HTTPS, without a token.
probe() { curl -sf -m 2 --cacert "$TLS_DIR/ca.crt" "https://$HEIMDEX_ADDRESS/$1" || revive_names; }

not_started() {
  expire_certificate
  ends_with 2 podman run --rm --network none --read-only --tmpfs /tmp -v models_cache:/app/models/.cache:ro -v "$TLS_DIR:/run/heimdex:ro" \
    -e TLS_CERT_FILE=/run/heimdex/tls.crt -e TLS_KEY_FILE=/run/heimdex/tls.key "${model_env[@]}" "$INFERENCE_IMAGE"
}

part_tls() {
  echo 'TLS and tokens: compose.tls.yaml'
  if ! command -v openssl >/dev/null; then
    echo '          skipped: openssl is not installed'
    return
  fi
  export TLS_DIR=$work/tls
  overlay=$here/../compose.tls.yaml
  mkdir -p "$TLS_DIR"
  new_certificate
  cp "$TLS_DIR/tls.crt" "$TLS_DIR/ca.crt"
  echo a-token-for-this-test-alone >"$TLS_DIR/tokens"
  chown -R 1000:1000 "$TLS_DIR"
  chmod 711 "$work"
  local as_caller=(--tls-ca "$TLS_DIR/ca.crt" --token-file "$TLS_DIR/tokens")
  local limit=$MEMORY_LIMIT
  # As by default.
  export MEMORY_LIMIT=6g
  start_hub
  check 'up' compose up -d --no-build
  check 'the service is ready' within "$step_timeout_s" probe readyz
  check 'and alive' probe livez
  check 'it sees the default limit of 6 GiB' says '"memoryGb":6,' logs "$service"
  check 'the image health check passes' podman healthcheck run "$service"
  check 'plain HTTP is refused' not ready
  check 'speech, with the token' says 'on Saturday' heimdex transcribe "${as_caller[@]}" "$root/demo/samples/speech/party.flac"
  check 'and not without it' says 'To send a token' heimdex transcribe "${as_caller[@]:0:2}" "$root/demo/samples/speech/party.flac"
  if "$here/prometheus-image.sh" ${PROMETHEUS:+"$PROMETHEUS"}; then
    check 'Prometheus comes up' within "$step_timeout_s" compose --profile monitoring up -d --no-build prometheus
    check 'and scrapes it over HTTPS' within "$step_timeout_s" says '"health":"up"' prometheus targets
  else
    echo '          Prometheus skipped: it is not there'
  fi

  echo 'TLS and tokens: renewals, without a restart'
  expire_certificate
  check 'an expired certificate is reported' within "$step_timeout_s" says 'expired at' logs "$service"
  check 'and the old one stays' says 'on Saturday' heimdex transcribe "${as_caller[@]}" "$root/demo/samples/speech/party.flac"
  new_certificate
  check 'a renewed certificate is reloaded' within "$step_timeout_s" says '"what":"certificate","msg":"reloaded"' logs "$service"
  check 'and the former no longer served' says 'not trusted' heimdex transcribe "${as_caller[@]}" "$root/demo/samples/speech/party.flac"
  cp "$TLS_DIR/tls.crt" "$TLS_DIR/ca.crt"
  cp "$TLS_DIR/tokens" "$work/former-token"
  put tokens <<<another-token-for-this-test
  check 'new tokens are reloaded' within "$step_timeout_s" says '"what":"tokens","msg":"reloaded"' logs "$service"
  check 'speech, with the new certificate and token' says 'on Saturday' heimdex transcribe "${as_caller[@]}" "$root/demo/samples/speech/party.flac"
  check 'and not with the former token' says 'To send a token' \
    heimdex transcribe "${as_caller[@]:0:2}" --token-file "$work/former-token" "$root/demo/samples/speech/party.flac"
  check 'the image health check passes' podman healthcheck run "$service"
  check 'SIGTERM ends it' podman stop -t "$step_timeout_s" "$service"
  check 'with an expired certificate it does not start' not_started
  take_down
  export MEMORY_LIMIT=$limit
  overlay=
}
