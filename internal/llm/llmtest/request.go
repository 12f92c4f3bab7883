package llmtest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// Message is one turn as it arrived.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Request is one request as it stood on the wire.
type Request struct {
	// Number counts the requests of a server from 1.
	Number int
	// Path is the path asked for, the query included.
	Path   string
	Header http.Header
	// Body is the request's bytes, untouched.
	Body json.RawMessage

	Model    string
	Messages []Message
	// Format is the type of the response_format asked for: "json_schema",
	// "json_object" or "text"; empty when none was.
	Format string
	// SchemaName, Schema and Strict are what came with a json_schema.
	SchemaName string
	Schema     json.RawMessage
	Strict     bool
	// Stream is true where the reply was to come in pieces.
	Stream bool

	params map[string]json.RawMessage
}

// Param returns a top-level parameter as it was spelled on the wire, such as
// "0" for a temperature of zero; empty when it was not sent.
func (r Request) Param(name string) string { return string(r.params[name]) }

// Has reports whether a top-level parameter was sent at all.
func (r Request) Has(name string) bool {
	_, sent := r.params[name]
	return sent
}

// Last is the text of the last message.
func (r Request) Last() string {
	if len(r.Messages) == 0 {
		return ""
	}
	return r.Messages[len(r.Messages)-1].Content
}

// Text is the text of all messages, a line break between two.
func (r Request) Text() string {
	texts := make([]string, len(r.Messages))
	for i, m := range r.Messages {
		texts[i] = m.Content
	}
	return strings.Join(texts, "\n")
}

func parseRequest(r *http.Request, body []byte) (Request, error) {
	request := Request{Path: r.URL.RequestURI(), Header: r.Header.Clone(), Body: body}
	var known struct {
		Model    string    `json:"model"`
		Messages []Message `json:"messages"`
		Stream   bool      `json:"stream"`
		Format   *struct {
			Type   string `json:"type"`
			Schema struct {
				Name   string          `json:"name"`
				Schema json.RawMessage `json:"schema"`
				Strict bool            `json:"strict"`
			} `json:"json_schema"`
		} `json:"response_format"`
	}
	if err := json.Unmarshal(body, &request.params); err != nil {
		return request, err
	}
	if err := json.Unmarshal(body, &known); err != nil {
		return request, err
	}
	switch {
	case known.Model == "":
		return request, errors.New("no model is named")
	case len(known.Messages) == 0:
		return request, errors.New("no messages")
	}
	request.Model, request.Messages, request.Stream = known.Model, known.Messages, known.Stream
	if f := known.Format; f != nil {
		request.Format = f.Type
		request.SchemaName, request.Schema, request.Strict = f.Schema.Name, f.Schema.Schema, f.Schema.Strict
	}
	return request, nil
}
