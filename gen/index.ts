/** Everything generated from the contract, under one import. */
export * from './src/google/rpc/error_details_pb.js';
export * from './src/google/rpc/status_pb.js';
export * from './src/health/v1/health_pb.js';
export * from './src/heimdex/inference/v1/common_pb.js';
export * from './src/heimdex/inference/v1/embedding_pb.js';
export * from './src/heimdex/inference/v1/faces_pb.js';
export * from './src/heimdex/inference/v1/inference_service_pb.js';
export * from './src/heimdex/inference/v1/server_info_pb.js';
export * from './src/heimdex/inference/v1/speech_pb.js';
