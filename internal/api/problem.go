package api

import (
	"fmt"
	"strings"
	"time"
)

// ProblemMedia is the media type of every failure (RFC 9457).
const ProblemMedia = "application/problem+json"

// Problem is a failure as it goes over the wire (RFC 9457), and the error that
// Client returns. It never repeats what was sent.
type Problem struct {
	Type   string `json:"type" doc:"What went wrong, as a path on this service that explains it. Stable." example:"/problems/unknown-question"`
	Title  string `json:"title" doc:"The same for every problem of this type."`
	Status int    `json:"status" doc:"The HTTP status."`
	Detail string `json:"detail" doc:"What went wrong this time."`
	// Instance names this occurrence: "urn:gradus:request:" and the request id.
	Instance string  `json:"instance" doc:"This occurrence, by request id." example:"urn:gradus:request:0199f6a2-7c1e-7b0a-9d53-3f1a52a0c4de"`
	Errors   []Fault `json:"errors,omitempty" nullable:"false" doc:"Every fault of the request, where there are any."`

	// RetryAfter is the header of that name; 0 where there was none.
	RetryAfter time.Duration `json:"-"`
}

// Fault is one thing wrong with a request.
type Fault struct {
	Detail string `json:"detail" doc:"What is wrong and what to send instead."`
	// Pointer is a JSON pointer (RFC 6901) into the request body; empty for the
	// body as a whole, or for a fault that is not in the body.
	Pointer string `json:"pointer" doc:"JSON pointer (RFC 6901) into the request body; empty for the body as a whole." example:"/answer"`
	// Line counts from 1; 0 where the body is not made of lines.
	Line int `json:"line,omitempty" doc:"Line of an NDJSON or CSV body, counted from 1."`
}

// Error is the detail with the faults, in one line. A single fault is not said
// again where the detail says it already.
func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", p.Status, p.Title)
	if p.Detail != "" {
		fmt.Fprintf(&b, ": %s", p.Detail)
	}
	if len(p.Errors) == 1 && strings.Contains(strings.ToLower(p.Detail), strings.ToLower(p.Errors[0].Detail)) {
		return b.String()
	}
	for _, f := range p.Errors {
		b.WriteString("; ")
		if f.Line > 0 {
			fmt.Fprintf(&b, "line %d ", f.Line)
		}
		if f.Pointer != "" {
			fmt.Fprintf(&b, "%s: ", f.Pointer)
		}
		b.WriteString(f.Detail)
	}
	return b.String()
}

// Is reports whether the problem is of a type.
func (p *Problem) Is(target error) bool {
	t, ok := target.(ProblemType)
	return ok && p.Type == t.Type
}
