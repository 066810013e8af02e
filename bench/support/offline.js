// ONNX Runtime for Linux would send its maker telemetry, and leave a file in the directory for temporary ones for it. A bench sends
// nothing, nor does a Python that it starts.
process.env.ORT_DISABLE_TELEMETRY = '1';
