// Disables the telemetry of ONNX Runtime, which also leaves a file in the temporary directory, here and in Python child processes.
process.env.ORT_DISABLE_TELEMETRY = '1';
