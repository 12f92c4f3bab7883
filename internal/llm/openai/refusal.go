package openai

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gradus-ai/gradus/internal/llm"
)

// errorBodyLimit is how much of an error's body is read: enough for every API
// error, and no more of an error page.
const errorBodyLimit = 64 << 10

// refusal is an HTTP reply that is no answer. Its message is the endpoint's
// own text: it is used to tell causes apart and never leaves this package.
type refusal struct {
	status     int
	code, kind string
	param      string
	message    string // in lower case
	requestID  string
	retryAfter time.Duration
}

// Error keeps to what may be logged: go-openai hands refusals through.
func (r *refusal) Error() string { return r.err().Error() }

// err is the refusal as an error of package llm.
func (r *refusal) err() error {
	f := llm.Failure{Status: r.status, Code: r.code, RequestID: r.requestID, RetryAfter: r.retryAfter}
	if f.Code == "" {
		f.Code = r.kind
	}
	switch {
	case r.status < 300: // an error inside a 200: believe a status in its code, else it is an outage
		if inner, err := strconv.Atoi(r.code); err == nil && inner >= 400 && inner < 600 {
			f.Status = inner
			break
		}
		return &llm.UnavailableError{
			Status: r.status, Reason: "error_in_reply", Code: f.Code, RequestID: f.RequestID, RetryAfter: f.RetryAfter,
		}
	case r.status < 400:
		f.Code = "redirected"
	case r.status == http.StatusTooManyRequests && r.kind == "insufficient_quota":
		f.Code = r.kind
	}
	if f.Status < 500 && f.Status != http.StatusTooManyRequests && r.tooLong() {
		f.Code = "context_length_exceeded"
	}
	return f.Err()
}

// names reports whether the refusal is about one of these. A parameter that
// the endpoint names in its own field outweighs what the prose mentions.
func (r *refusal) names(words ...string) bool {
	where := r.message
	if r.param != "" {
		where = r.param
	}
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(where, w) })
}

// nameless reports that the refusal says nothing to go by.
func (r *refusal) nameless() bool {
	return r.param == "" && !r.tooLong() &&
		(r.code == "" || r.code == strconv.Itoa(r.status)) && !strings.Contains(r.message, "model")
}

// tooLong recognises a prompt that does not fit in the words of the common
// servers, which have no common code for it.
func (r *refusal) tooLong() bool {
	if r.code == "context_length_exceeded" || r.kind == "exceed_context_size_error" {
		return true
	}
	return slices.ContainsFunc([]string{
		"maximum context length", "context length exceeded", "exceeds the context", "exceed the context", "context window", "context size",
		"prompt is too long", "input is too long", "prompt too long", "too many tokens",
	}, func(w string) bool { return strings.Contains(r.message, w) })
}

// withheld reports that a content filter stopped the request: the model was
// asked and will not answer, which is a refusal, not a failure.
func (r *refusal) withheld() bool {
	return r.status >= 400 && r.status < 500 && slices.ContainsFunc(
		[]string{"content_filter", "content_policy_violation", "responsibleaipolicyviolation", "invalid_prompt"},
		func(code string) bool { return strings.EqualFold(r.code, code) || strings.EqualFold(r.kind, code) })
}

// parseRefusal reads the reply of a failed request; anything may be missing.
func parseRefusal(status int, header http.Header, body []byte, now time.Time) *refusal {
	r := &refusal{status: status, requestID: requestID(header)}
	if status == http.StatusTooManyRequests || status >= 500 {
		r.retryAfter = retryAfter(header, now)
	}
	r.readBody(body)
	r.message = strings.ToLower(r.message)
	r.param = strings.ToLower(r.param)
	return r
}

func requestID(header http.Header) string {
	for _, name := range []string{"X-Request-Id", "Apim-Request-Id", "Cf-Ray"} {
		if id := header.Get(name); id != "" {
			return id
		}
	}
	return ""
}

// envelope holds the places where servers put an error: OpenAI's object,
// a bare string, FastAPI's detail, and the members of older servers.
type envelope struct {
	Error   json.RawMessage `json:"error"`
	Detail  json.RawMessage `json:"detail"`
	Message json.RawMessage `json:"message"`
	Code    json.RawMessage `json:"code"`
	Type    json.RawMessage `json:"type"`
	Param   json.RawMessage `json:"param"`
}

func (r *refusal) readBody(body []byte) {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '[' { // Gemini wraps the object in a list
		var list []json.RawMessage
		if json.Unmarshal(body, &list) != nil || len(list) == 0 {
			return
		}
		body = list[0]
	}
	var e envelope
	if json.Unmarshal(body, &e) != nil {
		if len(body) > 0 && body[0] != '<' && body[0] != '{' {
			r.message = string(body[:min(len(body), 4<<10)])
		}
		return
	}
	switch {
	case present(e.Error):
		var inner envelope
		if json.Unmarshal(e.Error, &inner) == nil {
			r.readObject(inner)
		} else {
			r.message = text(e.Error)
		}
	case present(e.Detail):
		r.readDetail(e.Detail)
	default:
		r.readObject(e)
	}
}

func (r *refusal) readObject(e envelope) {
	r.message, r.code, r.kind, r.param = text(e.Message), text(e.Code), text(e.Type), text(e.Param)
}

// readDetail reads FastAPI's detail: a text, or a list of places and messages.
// The list also echoes the input, which is left alone.
func (r *refusal) readDetail(raw json.RawMessage) {
	var faults []struct {
		Loc []any  `json:"loc"`
		Msg string `json:"msg"`
	}
	if json.Unmarshal(raw, &faults) != nil {
		r.message = text(raw)
		return
	}
	for _, f := range faults {
		var path []string
		for _, step := range f.Loc {
			if name, ok := step.(string); ok && name != "body" {
				path = append(path, name)
			}
		}
		r.param += strings.Join(path, ".") + " "
		r.message += f.Msg + " "
	}
	r.param = strings.TrimSpace(r.param)
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// text is a JSON string, number or list of strings as text.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return strings.Join(list, " ")
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}
