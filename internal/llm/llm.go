// Package llm is the port to any OpenAI-compatible model: one question, one
// reply, and errors that say what the caller should do next.
//
// The adapter that speaks HTTP lives in openai; everything that cuts across
// (retries, limits, breaker, metering, fallback models) wraps Completer here.
// The package knows nothing of rubrics or grades.
package llm

import (
	"context"
	"encoding/json"
)

// Role says who speaks.
type Role string

// The roles used. System is sent as whatever role the endpoint has for rules.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
)

// Message is one turn of a conversation.
type Message struct {
	Role Role
	Text string
}

// Request is one question to a model.
type Request struct {
	Messages []Message
	// Schema is the JSON Schema of the reply, sent verbatim where the endpoint
	// takes one; nil asks for plain text.
	Schema     json.RawMessage
	SchemaName string
	// MaxTokens bounds the reply; 0 leaves it to the endpoint.
	MaxTokens int
	// Watch, where set, hears of the reply's text as it grows: all of it each
	// time, one call at a time. Another attempt begins anew. An endpoint that
	// does not stream is not watched. It changes nothing of the reply.
	Watch func(text string) `json:"-"`
}

// Usage counts tokens as the endpoint reported them.
type Usage struct {
	PromptTokens, CachedTokens, CompletionTokens int
}

// Reply is what came back. A reply that is cut short or refused is a reply,
// not an error: the model was asked and gave nothing to judge by.
type Reply struct {
	Text      string
	Refused   bool
	Truncated bool
	Model     string // as the endpoint named it
	Usage     Usage
	// Discount is the share of the usual price, 0..1, that was not charged.
	Discount float64
}

// Completer asks a model.
//
// Complete returns one of the errors of this package (see Retryable), or the
// context's. It may be called concurrently. Implementations never return a
// nil Reply with a nil error.
type Completer interface {
	Complete(ctx context.Context, req Request) (*Reply, error)
	// Models lists the models that may answer, the first choice first.
	Models() []string
}
