package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	api "github.com/sashabaranov/go-openai"

	"github.com/gradus-ai/gradus/internal/llm"
)

// streamOverhead is how much longer a streamed reply may be on the wire than one
// in one piece: every few characters are an object of their own.
const streamOverhead = 8

// stream asks for a reply in pieces, shows the text to watch as it grows, and
// returns it as if it had come in one piece. The errors are those of the wire
// and the transport.
func (c *Client) stream(caller context.Context, req api.ChatCompletionRequest, watch func(string)) (api.ChatCompletionResponse, error) {
	ctx, cancel := context.WithCancelCause(caller)
	defer cancel(nil)
	req.StreamOptions = &api.StreamOptions{IncludeUsage: true}
	pieces, err := c.streams.CreateChatCompletionStream(ctx, req)
	var whole *unstreamed
	switch {
	case errors.As(err, &whole):
		return whole.completion()
	case err != nil:
		return api.ChatCompletionResponse{}, err
	}
	defer func() { _ = pieces.Close() }()
	idle := time.AfterFunc(c.cfg.IdleTimeout, func() { cancel(errStalled) })
	idle.Stop() // the first words may take as long as a whole reply
	defer idle.Stop()
	reply, err := gather(pieces.Recv, func(text string) {
		idle.Reset(c.cfg.IdleTimeout)
		watch(text)
	})
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		err = &llm.UnavailableError{Status: http.StatusOK, Reason: "stalled_reply"}
	}
	return reply, err
}

var errStalled = errors.New("the stream has stalled")

// gather puts a reply together. One that ends without saying that it is over
// has been cut.
func gather(next func() (api.ChatCompletionStreamResponse, error), grew func(string)) (api.ChatCompletionResponse, error) {
	var out api.ChatCompletionResponse
	var choice api.ChatCompletionChoice
	var text bytes.Buffer
	for {
		piece, err := next()
		switch {
		case errors.Is(err, io.EOF) && choice.FinishReason != "":
			choice.Message.Content = text.String()
			out.Choices = []api.ChatCompletionChoice{choice}
			return out, nil
		case errors.Is(err, io.EOF):
			return out, io.ErrUnexpectedEOF
		case errors.As(err, new(*api.APIError)):
			return out, &llm.UnavailableError{Status: http.StatusOK, Reason: "error_in_reply"}
		case err != nil:
			return out, err
		}
		if piece.Model != "" {
			out.ID, out.Model = piece.ID, piece.Model
		}
		if piece.Usage != nil {
			out.Usage = *piece.Usage
		}
		for _, part := range piece.Choices {
			if part.Index != 0 {
				continue
			}
			if part.FinishReason != "" && part.FinishReason != api.FinishReasonNull {
				choice.FinishReason = part.FinishReason
			}
			choice.Message.Refusal += part.Delta.Refusal
			choice.Message.ReasoningContent += part.Delta.ReasoningContent
			text.WriteString(part.Delta.Content)
			if part.Delta.Content != "" || part.Delta.ReasoningContent != "" {
				grew(text.String())
			}
		}
	}
}

// unstreamed is the reply of an endpoint that was asked for a stream and
// answered in one piece.
type unstreamed struct{ body []byte }

func (u *unstreamed) Error() string { return "the reply is not a stream" }

func (u *unstreamed) completion() (out api.ChatCompletionResponse, err error) {
	err = json.Unmarshal(u.body, &out)
	return out, err
}

// streamWire carries requests for replies in pieces.
type streamWire struct{ *wire }

// Do sends a request, and bounds what comes. The error is an *unstreamed where
// the reply came in one piece, or as in wire.Do.
func (w streamWire) Do(req *http.Request) (*http.Response, error) {
	resp, err := w.send(req)
	if err != nil {
		return nil, err
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/event-stream" {
		resp.Body = &bounded{resp.Body, streamOverhead * w.limit}
		return resp, nil
	}
	body, err := w.whole(resp)
	if err != nil {
		return nil, err
	}
	return nil, &unstreamed{body}
}

// bounded is a body that fails where it is too long.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(into []byte) (int, error) {
	if b.left <= 0 {
		return 0, errOversized
	}
	n, err := b.ReadCloser.Read(into[:min(int64(len(into)), b.left)])
	b.left -= int64(n)
	return n, err
}
