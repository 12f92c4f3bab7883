// Package prompt turns a question and an answer into the messages and the
// reply schema that a model is sent. It is pure: it never calls a model, and
// the same input always renders to the same bytes.
package prompt

import "encoding/json"

// Message is one turn: Role is "system", "user" or "assistant".
type Message struct {
	Role string
	Text string
}

// Rendered is everything that would be sent for one request.
type Rendered struct {
	Messages   []Message
	Schema     json.RawMessage
	SchemaName string
}
