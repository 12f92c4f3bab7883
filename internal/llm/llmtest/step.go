package llmtest

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Step is what the server does with one request. Steps are values: As, Using
// and Times return changed copies.
type Step struct {
	serve  func(*call)
	times  int
	always bool
	answer *answer // set for steps that answer with a completion
}

// call is one request being served.
type call struct {
	w       http.ResponseWriter
	r       *http.Request
	request Request
	closed  <-chan struct{}
}

// wait pauses for d; false when the client left or the test ended first.
func (c *call) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.r.Context().Done():
	case <-c.closed:
	}
	return false
}

// answer is a chat completion.
type answer struct {
	content *string
	refusal string
	finish  string
	model   string
	usage   usage
}

type usage struct{ prompt, cached, completion int }

func completion(a answer) Step {
	return Step{answer: &a, serve: func(c *call) {
		if c.request.Stream {
			a.stream(c, nil)
			return
		}
		writeJSON(c.w, http.StatusOK, a.wire(c.request))
	}}
}

func (a answer) wire(r Request) any {
	model := a.model
	if model == "" {
		model = r.Model
	}
	message := map[string]any{"role": "assistant", "content": a.content}
	if a.refusal != "" {
		message["refusal"] = a.refusal
	}
	return map[string]any{
		"id": fmt.Sprintf("chatcmpl-%d", r.Number), "object": "chat.completion", "created": 1, "model": model,
		"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": a.finish}},
		"usage": map[string]any{
			"prompt_tokens": a.usage.prompt, "completion_tokens": a.usage.completion,
			"total_tokens":          a.usage.prompt + a.usage.completion,
			"prompt_tokens_details": map[string]any{"cached_tokens": a.usage.cached},
		},
	}
}

// Reply answers with a complete message. A string or json.RawMessage is the
// message's text as it stands; anything else is encoded as JSON.
func Reply(v any) Step {
	text := textOf(v)
	return completion(answer{content: &text, finish: "stop", usage: usage{prompt: 100, completion: 20}})
}

// Truncated answers with a message cut at the token limit.
func Truncated(v any) Step {
	text := textOf(v)
	return completion(answer{content: &text, finish: "length", usage: usage{prompt: 100, completion: 20}})
}

// Refusal answers with the refusal field set and no content.
func Refusal() Step {
	return completion(answer{refusal: "I cannot help with that.", finish: "stop", usage: usage{prompt: 100, completion: 5}})
}

// Filtered answers with a message withheld by the provider's content filter.
func Filtered() Step {
	empty := ""
	return completion(answer{content: &empty, finish: "content_filter", usage: usage{prompt: 100}})
}

// As names the model that the reply says it came from.
func (s Step) As(model string) Step {
	return s.changed(func(a *answer) { a.model = model })
}

// Using sets the tokens that the reply says it cost.
func (s Step) Using(prompt, cached, completion int) Step {
	return s.changed(func(a *answer) { a.usage = usage{prompt, cached, completion} })
}

func (s Step) changed(change func(*answer)) Step {
	if s.answer == nil {
		panic("llmtest: only a step that answers with a completion has a model and usage")
	}
	a := *s.answer
	change(&a)
	out := completion(a)
	out.times, out.always = s.times, s.always
	return out
}

// Times repeats the step for n requests.
func (s Step) Times(n int) Step {
	s.times = n
	return s
}

// Pieces answers with a message that comes in pieces where the request asks for
// a stream: each but the first when something is received from next, which may
// be nil.
func Pieces(next <-chan struct{}, pieces ...string) Step {
	whole := strings.Join(pieces, "")
	a := answer{content: &whole, finish: "stop", usage: usage{prompt: 100, completion: 20}}
	return Step{serve: func(c *call) {
		if c.request.Stream {
			a.stream(c, next, pieces...)
			return
		}
		writeJSON(c.w, http.StatusOK, a.wire(c.request))
	}}
}

// Status answers with an error of that status; retryAfter is sent as the
// Retry-After header unless empty.
func Status(code int, retryAfter string) Step {
	return Step{serve: func(c *call) {
		if retryAfter != "" {
			c.w.Header().Set("Retry-After", retryAfter)
		}
		writeError(c.w, code, apiError{Message: http.StatusText(code), Code: nil})
	}}
}

// Failure answers with an error of that status and code, such as 429 with
// "insufficient_quota" or 400 with "context_length_exceeded".
func Failure(status int, code, message string) Step {
	return Step{serve: func(c *call) {
		writeError(c.w, status, apiError{Message: message, Type: code, Code: code})
	}}
}

// Unsupported answers 400, naming a parameter that the model does not take.
func Unsupported(param string) Step {
	return Step{serve: func(c *call) {
		writeError(c.w, http.StatusBadRequest, apiError{
			Message: fmt.Sprintf("Unsupported parameter: '%s' is not supported with this model.", param),
			Param:   &param, Code: "unsupported_parameter",
		})
	}}
}

// Body answers with these bytes and nothing added.
func Body(code int, contentType, raw string) Step {
	return Step{serve: func(c *call) {
		if contentType != "" {
			c.w.Header().Set("Content-Type", contentType)
		}
		c.w.WriteHeader(code)
		_, _ = io.WriteString(c.w, raw)
	}}
}

// Headers sets response headers before the step answers: pairs of name and
// value.
func (s Step) Headers(pairs ...string) Step {
	serve := s.serve
	s.answer = nil
	s.serve = func(c *call) {
		for i := 0; i+1 < len(pairs); i += 2 {
			c.w.Header().Set(pairs[i], pairs[i+1])
		}
		serve(c)
	}
	return s
}

// NoChoices answers 200 with an empty list of choices.
func NoChoices() Step {
	return Body(http.StatusOK, "application/json", `{"id":"x","object":"chat.completion","choices":[]}`)
}

// Cut promises a longer body than it sends, then closes the connection.
func Cut() Step {
	return Step{serve: func(c *call) {
		c.w.Header().Set("Content-Type", "application/json")
		c.w.Header().Set("Content-Length", "4096")
		_, _ = io.WriteString(c.w, `{"id":"x","choices":[{"message":{"role":"assist`)
		panic(http.ErrAbortHandler)
	}}
}

// Reset resets the connection without a reply.
func Reset() Step {
	return Step{serve: func(c *call) {
		conn, _, err := c.w.(http.Hijacker).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}}
}

// Redirect answers 302 with that location.
func Redirect(to string) Step {
	return Step{serve: func(c *call) {
		c.w.Header().Set("Location", to)
		c.w.WriteHeader(http.StatusFound)
	}}
}

// Slow waits before it takes the step. It gives up when the client leaves.
func Slow(delay time.Duration, step Step) Step {
	return Step{serve: func(c *call) {
		if c.wait(delay) {
			step.serve(c)
		}
	}}
}

// Hold waits for release to be closed before it takes the step.
func Hold(release <-chan struct{}, step Step) Step {
	return Step{serve: func(c *call) {
		select {
		case <-release:
			step.serve(c)
		case <-c.r.Context().Done():
		case <-c.closed:
		}
	}}
}

// Hang never answers: not even headers are sent until the client leaves or
// the test ends.
func Hang() Step {
	return Step{serve: func(c *call) {
		select {
		case <-c.r.Context().Done():
		case <-c.closed:
		}
	}}
}

// Drip sends headers at once and then a reply's bytes one at a time, a pause
// before each.
func Drip(pause time.Duration) Step {
	return Step{serve: func(c *call) {
		text := strings.Repeat("drip ", 1000)
		raw, err := json.Marshal(answer{content: &text, finish: "stop"}.wire(c.request))
		if err != nil {
			panic(err)
		}
		c.w.Header().Set("Content-Type", "application/json")
		c.w.WriteHeader(http.StatusOK)
		flusher := http.NewResponseController(c.w)
		for i := range raw {
			_ = flusher.Flush()
			if !c.wait(pause) {
				return
			}
			if _, err := c.w.Write(raw[i : i+1]); err != nil {
				return
			}
		}
	}}
}

// GzipBomb answers with a well-formed, compressed reply whose text inflates to
// size bytes.
func GzipBomb(size int) Step {
	return Step{serve: func(c *call) {
		c.w.Header().Set("Content-Type", "application/json")
		c.w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(c.w)
		defer func() { _ = z.Close() }()
		_, _ = io.WriteString(z, `{"id":"x","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"`)
		block := []byte(strings.Repeat("0", 64<<10))
		for sent := 0; sent < size; sent += len(block) {
			if _, err := z.Write(block); err != nil {
				return
			}
		}
		_, _ = io.WriteString(z, `"}}]}`)
	}}
}

// Func decides what to do from the request.
func Func(decide func(Request) Step) Step {
	return Step{serve: func(c *call) { decide(c.request).serve(c) }}
}

// Always answers this and every later request by what decide says of it. It
// is called concurrently when requests arrive concurrently.
func Always(decide func(Request) Step) Step {
	step := Func(decide)
	step.always = true
	return step
}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.RawMessage:
		return string(v)
	case []byte:
		return string(v)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("llmtest: the reply cannot be encoded: %v", err))
	}
	return string(raw)
}
