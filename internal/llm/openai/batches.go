package openai

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	api "github.com/sashabaranov/go-openai"

	"github.com/gradus-ai/gradus/internal/llm"
)

// The batch API answers a file of requests within a day, at half the price
// (https://platform.openai.com/docs/guides/batch).
const (
	// BatchDiscount is the share of the usual price that a batch saves.
	BatchDiscount = 0.5
	// MaxBatchRequests and MaxBatchBytes are what the provider takes in one file.
	MaxBatchRequests = 50_000
	MaxBatchBytes    = 200 << 20

	// fileTimeout bounds sending or fetching one file.
	fileTimeout = 20 * time.Minute
	// tagName is where a batch carries the tag of whoever made it.
	tagName = "gradus"
	// Batches are looked through for a tag this far back.
	listPages, listPage = 10, 100
)

// BatchState is how a batch of requests is doing at the provider.
type BatchState struct {
	// Status is the provider's word: completed, expired, failed, cancelled, or
	// one for a batch that is under way.
	Status string
	// Total and Answered count requests.
	Total, Answered int
	// Codes say why a batch failed.
	Codes []string

	input string
	files []string // of replies
}

// Over reports whether nothing more will come.
func (s *BatchState) Over() bool {
	switch s.Status {
	case "completed", "expired", "failed", "cancelled":
		return true
	}
	return false
}

// SubmitBatch gives the requests to the provider as one batch and returns its
// id. The tag tells it from other batches, see FindBatch. A request's digest is
// its id in the batch; equal requests are sent once. When the error is not one
// of a refusal (see package llm) the batch may have been made all the same.
func (c *Client) SubmitBatch(ctx context.Context, tag string, requests []llm.Request) (id string, err error) {
	upload := api.UploadBatchFileRequest{FileName: "gradus-" + tag + ".jsonl"}
	sent := make(map[string]bool, len(requests))
	for i := range requests {
		if err := c.check(requests[i]); err != nil {
			return "", err
		}
		digest := requests[i].Digest()
		if sent[digest] {
			continue
		}
		sent[digest] = true
		line, err := json.Marshal(api.BatchChatCompletionRequest{
			CustomID: digest,
			Body:     build(c.model, requests[i], c.learned.shape()),
			Method:   http.MethodPost,
			URL:      api.BatchEndpointChatCompletions,
		})
		if err != nil {
			return "", fmt.Errorf("encode a request: %w", err)
		}
		upload.Lines = append(upload.Lines, batchLine(bytes.Replace(line, almostZero, trueZero, 1)))
	}
	var file api.File
	if err := c.transfer(ctx, func(ctx context.Context) (err error) {
		file, err = c.api.UploadBatchFile(ctx, upload)
		return err
	}); err != nil {
		return "", fmt.Errorf("upload the requests: %w", err)
	}
	var made api.BatchResponse
	if err := c.transfer(ctx, func(ctx context.Context) (err error) {
		made, err = c.api.CreateBatch(ctx, api.CreateBatchRequest{
			InputFileID: file.ID,
			Endpoint:    api.BatchEndpointChatCompletions,
			Metadata:    map[string]any{tagName: tag},
		})
		return err
	}); err != nil {
		return "", fmt.Errorf("make a batch: %w", err)
	}
	return made.ID, nil
}

// batchLine is a line of the file as it stands.
type batchLine []byte

// MarshalBatchLineItem is the line.
func (l batchLine) MarshalBatchLineItem() []byte { return l }

// FindBatch looks for the batch with a tag among the latest.
func (c *Client) FindBatch(ctx context.Context, tag string) (id string, found bool, err error) {
	limit := listPage
	var after *string
	for range listPages {
		var list api.ListBatchResponse
		if err := c.transfer(ctx, func(ctx context.Context) (err error) {
			list, err = c.api.ListBatch(ctx, after, &limit)
			return err
		}); err != nil {
			return "", false, fmt.Errorf("list batches: %w", err)
		}
		for i := range list.Data {
			if list.Data[i].Metadata[tagName] == tag {
				return list.Data[i].ID, true, nil
			}
		}
		if !list.HasMore || len(list.Data) == 0 {
			break
		}
		after = &list.Data[len(list.Data)-1].ID
	}
	return "", false, nil
}

// Batch says how a batch is doing.
func (c *Client) Batch(ctx context.Context, id string) (*BatchState, error) {
	var b api.BatchResponse
	if err := c.transfer(ctx, func(ctx context.Context) (err error) {
		b, err = c.api.RetrieveBatch(ctx, id)
		return err
	}); err != nil {
		return nil, fmt.Errorf("look at batch %s: %w", id, err)
	}
	s := &BatchState{input: b.InputFileID, Status: b.Status, Total: b.RequestCounts.Total, Answered: b.RequestCounts.Completed}
	if b.Errors != nil {
		for _, fault := range b.Errors.Data {
			s.Codes = append(s.Codes, fault.Code)
		}
	}
	for _, file := range []*string{b.OutputFileID, b.ErrorFileID} {
		if file != nil && *file != "" {
			s.files = append(s.files, *file)
		}
	}
	return s, nil
}

// BatchReplies gives each reply of a batch that is over to each, by the digest
// of its request. What came to nothing is counted by its code, such as
// batch_expired.
func (c *Client) BatchReplies(ctx context.Context, s *BatchState, each func(digest string, reply *llm.Reply)) (without map[string]int, err error) {
	without = make(map[string]int)
	for _, file := range s.files {
		if err := c.transfer(ctx, func(ctx context.Context) error {
			content, err := c.files.GetFileContent(ctx, file)
			if err != nil {
				return err
			}
			defer func() { _ = content.Close() }()
			lines := bufio.NewScanner(content)
			lines.Buffer(nil, int(c.cfg.ReplyLimit))
			for lines.Scan() {
				c.readLine(lines.Bytes(), each, without)
			}
			if errors.Is(lines.Err(), bufio.ErrTooLong) {
				return errOversized
			}
			return lines.Err()
		}); err != nil {
			return nil, fmt.Errorf("fetch the replies: %w", err)
		}
	}
	return without, nil
}

// DeleteBatchFiles has the provider delete the requests and the replies of a
// batch.
func (c *Client) DeleteBatchFiles(ctx context.Context, id string) error {
	s, err := c.Batch(ctx, id)
	if err != nil {
		return err
	}
	for _, file := range append(s.files, s.input) {
		if err := c.transfer(ctx, func(ctx context.Context) error { return c.api.DeleteFile(ctx, file) }); err != nil {
			return fmt.Errorf("delete file %s: %w", file, err)
		}
	}
	return nil
}

// readLine reads one line of a file of replies.
func (c *Client) readLine(raw []byte, each func(string, *llm.Reply), without map[string]int) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return
	}
	type failure struct {
		Code string `json:"code"`
	}
	var line struct {
		ID       string `json:"custom_id"`
		Response *struct {
			Status int `json:"status_code"`
			Body   struct {
				api.ChatCompletionResponse
				Error *failure `json:"error"`
			} `json:"body"`
		} `json:"response"`
		Error *failure `json:"error"`
	}
	code := "unreadable_reply"
	if err := json.Unmarshal(raw, &line); err == nil && line.ID != "" {
		switch r := line.Response; {
		case line.Error != nil && line.Error.Code != "":
			code = line.Error.Code
		case r != nil && r.Status == http.StatusOK:
			if reply, err := c.read(r.Body.ChatCompletionResponse); err == nil {
				reply.Discount = BatchDiscount
				each(line.ID, reply)
				return
			}
		case r != nil && r.Body.Error != nil && r.Body.Error.Code != "":
			code = r.Body.Error.Code
		case r != nil:
			code = fmt.Sprintf("status_%d", r.Status)
		}
	}
	without[code]++
}

// transfer makes one call about files or batches and explains its error.
func (c *Client) transfer(caller context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(caller, fileTimeout, llm.ErrTimeout)
	defer cancel()
	err := call(ctx)
	if err == nil {
		return nil
	}
	var refused *refusal
	if errors.As(err, &refused) {
		return refused.err()
	}
	return fault(caller, ctx, err)
}
