/** What every test process starts with: ONNX Runtime for Linux would send its maker telemetry, and a test sends nothing. */
process.env.ORT_DISABLE_TELEMETRY = '1';
