package openai

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	api "github.com/sashabaranov/go-openai"

	"github.com/gradus-ai/gradus/internal/llm"
)

// format is a rung of the ladder of structured output, the best first.
type format int

const (
	jsonSchema format = iota
	jsonObject
	plainText
)

func (f format) String() string { return [...]string{"json_schema", "json_object", "text"}[f] }

// shape says what a request leaves out because the endpoint does not take it.
// The zero value leaves nothing out. A shape only ever grows poorer, so what
// two requests learn at the same time can be merged.
type shape struct {
	format     format
	noSystem   bool // rules go into the first user message
	noSampling bool // no temperature
	noEffort   bool // no reasoning effort
	otherLimit bool // the token limit under its other name
	noLimit    bool // no token limit
	noStream   bool // replies come in one piece
}

func (s shape) merge(o shape) shape {
	return shape{
		format:     max(s.format, o.format),
		noSystem:   s.noSystem || o.noSystem,
		noSampling: s.noSampling || o.noSampling,
		noEffort:   s.noEffort || o.noEffort,
		otherLimit: s.otherLimit || o.otherLimit,
		noLimit:    s.noLimit || o.noLimit,
		noStream:   s.noStream || o.noStream,
	}
}

// families are the models that reason before they answer: they take a
// reasoning effort and no temperature, and count their thoughts against
// max_completion_tokens. go-openai goes by the same prefixes and would not let
// another request out.
var families = []string{"o1", "o3", "o4", "gpt-5", "gpt-6"}

// reasons reports whether a model reasons, by its name. A proxy may hide the
// name; then its 400s tell.
func reasons(model string) bool {
	name := strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
	return slices.ContainsFunc(families, func(family string) bool { return strings.HasPrefix(name, family) })
}

// zero is the temperature that go-openai sends at all: it takes a true zero
// for an empty field. The wire puts the 0 back.
const zero = math.SmallestNonzeroFloat32

// build is the request as go-openai wants it.
func build(model string, req llm.Request, s shape) api.ChatCompletionRequest {
	out := api.ChatCompletionRequest{Model: model, Messages: messages(req, s)}
	reasoning := reasons(model)
	if !reasoning && !s.noSampling {
		out.Temperature = zero
	}
	if reasoning && !s.noEffort {
		out.ReasoningEffort = api.ReasoningEffortLow
	}
	if !s.noLimit {
		if reasoning != s.otherLimit {
			out.MaxCompletionTokens = req.MaxTokens
		} else {
			out.MaxTokens = req.MaxTokens //nolint:staticcheck // the only name that many compatible servers know
		}
	}
	if req.Schema == nil {
		return out
	}
	switch s.format {
	case jsonSchema:
		name := req.SchemaName
		if name == "" {
			name = "reply"
		}
		out.ResponseFormat = &api.ChatCompletionResponseFormat{
			Type:       api.ChatCompletionResponseFormatTypeJSONSchema,
			JSONSchema: &api.ChatCompletionResponseFormatJSONSchema{Name: name, Schema: req.Schema, Strict: true},
		}
	case jsonObject:
		out.ResponseFormat = &api.ChatCompletionResponseFormat{Type: api.ChatCompletionResponseFormatTypeJSONObject}
	}
	return out
}

// messages are the turns as they are sent. Where the endpoint takes no schema
// the rules carry it, which also puts the word JSON where json_object asks for
// it.
func messages(req llm.Request, s shape) []api.ChatCompletionMessage {
	out := make([]api.ChatCompletionMessage, 0, len(req.Messages))
	for _, m := range req.Messages {
		out = append(out, api.ChatCompletionMessage{Role: string(m.Role), Content: m.Text})
	}
	if req.Schema != nil && s.format != jsonSchema {
		at := 0
		for i, m := range req.Messages {
			if m.Role == llm.System {
				at = i
				break
			}
		}
		const ask = "Reply with one JSON object and nothing else. It must fit this JSON Schema:\n"
		if req.Messages[at].Role == llm.System {
			out[at].Content += "\n\n" + ask + string(req.Schema)
		} else {
			// What ends the message may be somebody's text: the rule goes first.
			out[at].Content = ask + string(req.Schema) + "\n\n" + out[at].Content
		}
	}
	if s.noSystem {
		out = withoutSystem(out)
	}
	return out
}

// withoutSystem moves the rules to the head of the first user message.
func withoutSystem(in []api.ChatCompletionMessage) []api.ChatCompletionMessage {
	var rules []string
	out := make([]api.ChatCompletionMessage, 0, len(in)+1)
	for _, m := range in {
		if m.Role == api.ChatMessageRoleSystem {
			rules = append(rules, m.Content)
		} else {
			out = append(out, m)
		}
	}
	if len(rules) == 0 {
		return out
	}
	head := strings.Join(rules, "\n\n")
	if len(out) > 0 && out[0].Role == api.ChatMessageRoleUser {
		out[0].Content = head + "\n\n" + out[0].Content
		return out
	}
	return append([]api.ChatCompletionMessage{{Role: api.ChatMessageRoleUser, Content: head}}, out...)
}

var _ json.Marshaler = json.RawMessage(nil) // a schema goes out byte for byte, its keys in order
