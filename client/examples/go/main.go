// Calls a Heimdex inference server: go run . ADDRESS AUDIO IMAGE...
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	inferencev1 "heimdex.example/caller/generated/heimdex/inference/v1"
)

const chunkBytes = 64 * 1024

// Retries calls while the server starts or drains. (RetryInfo of RESOURCE_EXHAUSTED is left to the caller.)
const serviceConfig = `{"methodConfig":[{"name":[{"service":"heimdex.inference.v1.InferenceService"}],"retryPolicy":{
	"maxAttempts":4,"initialBackoff":"0.2s","maxBackoff":"5s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}`

func main() {
	if len(os.Args) < 4 {
		log.Fatal("usage: go run . ADDRESS AUDIO IMAGE...")
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		log.Fatal(err)
	}
}

func run(address, audioPath string, paths []string) error {
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultServiceConfig(serviceConfig))
	if err != nil {
		return err
	}
	defer connection.Close()
	client := inferencev1.NewInferenceServiceClient(connection)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()

	if err := transcribe(ctx, client, audioPath); err != nil {
		return err
	}
	if err := search(ctx, client, "elephant", paths); err != nil {
		return err
	}
	_, err = client.EmbedText(ctx, &inferencev1.EmbedTextRequest{})
	fmt.Println("refused:", explain(err))
	return nil
}

// transcribe streams an audio file: the options first, then the bytes in chunks of any size.
func transcribe(ctx context.Context, client inferencev1.InferenceServiceClient, audioPath string) error {
	file, err := os.Open(audioPath)
	if err != nil {
		return err
	}
	defer file.Close()
	stream, err := client.TranscribeStream(ctx)
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { sent <- send(stream, file) }()
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return <-sent
		}
		if err != nil {
			return err
		}
		if segment := answer.GetSegment(); segment != nil {
			fmt.Println("transcript:", string(bytes.TrimSpace([]byte(segment.GetText()))))
		}
	}
}

func send(stream inferencev1.InferenceService_TranscribeStreamClient, audio io.Reader) error {
	options := &inferencev1.TranscribeOptions{Language: proto.String("en")}
	start := &inferencev1.TranscribeStreamRequest_Start{Start: &inferencev1.TranscribeStart{Options: options}}
	if err := stream.Send(&inferencev1.TranscribeStreamRequest{Message: start}); err != nil {
		return err
	}
	for {
		chunk := make([]byte, chunkBytes)
		count, err := audio.Read(chunk)
		if count > 0 {
			message := &inferencev1.TranscribeStreamRequest_Audio{Audio: chunk[:count]}
			if err := stream.Send(&inferencev1.TranscribeStreamRequest{Message: message}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return stream.CloseSend()
		}
		if err != nil {
			return err
		}
	}
}

// search prints the image that matches the text best.
func search(ctx context.Context, client inferencev1.InferenceServiceClient, words string, paths []string) error {
	images := make([]*inferencev1.ImageInput, len(paths))
	for index, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		images[index] = &inferencev1.ImageInput{Content: content}
	}
	encoding := inferencev1.VectorEncoding_VECTOR_ENCODING_FLOAT32_LE
	embedded, err := client.EmbedImage(ctx, &inferencev1.EmbedImageRequest{Images: images, Encoding: encoding})
	if err != nil {
		return err
	}
	query, err := client.EmbedText(ctx, &inferencev1.EmbedTextRequest{Texts: []string{words}, Encoding: encoding})
	if err != nil {
		return err
	}
	if !proto.Equal(query.GetModel(), embedded.GetModel()) {
		return errors.New("vectors of two models cannot be compared")
	}
	target, err := vector(query.GetResults()[0])
	if err != nil {
		return err
	}
	best, nearest := float32(-2), ""
	for index, result := range embedded.GetResults() {
		numbers, err := vector(result)
		if err != nil {
			return fmt.Errorf("%s: %w", paths[index], err)
		}
		if score := dot(target, numbers); score > best {
			best, nearest = score, filepath.Base(paths[index])
		}
	}
	fmt.Printf("%s: %s\n", words, nearest)

	found, err := client.DetectFaces(ctx, &inferencev1.DetectFacesRequest{Images: images[:1]})
	if err != nil {
		return err
	}
	fmt.Println("faces:", len(found.GetResults()[0].GetDetections().GetFaces()))
	return nil
}

// vector returns the vector of one item, or the item's error.
func vector(result *inferencev1.EmbeddingResult) ([]float32, error) {
	if failed := result.GetError(); failed != nil {
		return nil, status.ErrorProto(failed)
	}
	content := result.GetEmbedding().GetFloat32Le()
	numbers := make([]float32, len(content)/4)
	return numbers, binary.Read(bytes.NewReader(content), binary.LittleEndian, numbers)
}

func dot(one, other []float32) float32 {
	var sum float32
	for index := range one {
		sum += one[index] * other[index]
	}
	return sum
}

// explain prints the status, message, reason and fields of a failed call.
func explain(err error) string {
	failed := status.Convert(err)
	text := fmt.Sprintf("%s %s", failed.Code(), failed.Message())
	for _, detail := range failed.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			text += " " + detail.GetReason()
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				text += " " + violation.GetField()
			}
		}
	}
	return text
}
