package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxReply bounds what a client reads of one reply, in bytes.
const maxReply = 16 << 20

// Client calls a running service. Its methods return a *Problem for every
// failure that the service reports. It may be used concurrently.
type Client struct {
	base *url.URL
	key  string
	http *http.Client
}

// NewClient makes a client of the service at base ("http://localhost:8080").
// key is sent as a bearer token unless empty. A nil httpClient means one that
// does not follow redirects; deadlines come from the contexts.
func NewClient(base, key string, httpClient *http.Client) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, errors.New("the address of the service must be an http or https URL")
	}
	if httpClient == nil {
		httpClient = &http.Client{
			// A redirected POST would arrive as a GET.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &Client{base: u, key: key, http: httpClient}, nil
}

// Option changes one call.
type Option func(*http.Request)

// Fresh grades again even where a grade is kept, and replaces it.
func Fresh() Option {
	return func(r *http.Request) { r.Header.Set("Cache-Control", "no-cache") }
}

// WithRequestID names the request in the service's logs.
func WithRequestID(id string) Option {
	return func(r *http.Request) { r.Header.Set("X-Request-Id", id) }
}

// WithIdempotencyKey makes repeated tries of one call one call: send the same
// key, of 1 to 255 printable ASCII characters, with each.
func WithIdempotencyKey(key string) Option {
	return func(r *http.Request) { r.Header.Set("Idempotency-Key", key) }
}

// Grade grades one answer.
func (c *Client) Grade(ctx context.Context, req GradeRequest, options ...Option) (*Grade, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode grade request: %w", err)
	}
	return call[Grade](ctx, c, http.MethodPost, c.base.JoinPath("v1", "grades"), body, options)
}

// GetGrade returns a kept grade at a detail; an empty detail means full.
func (c *Client) GetGrade(ctx context.Context, id string, detail Detail) (*Grade, error) {
	u := c.base.JoinPath("v1", "grades", url.PathEscape(id))
	if detail != "" {
		u.RawQuery = url.Values{"detail": {string(detail)}}.Encode()
	}
	return call[Grade](ctx, c, http.MethodGet, u, nil, nil)
}

// ForgetGrade erases a kept grade. Erasing what is not kept is not an error.
func (c *Client) ForgetGrade(ctx context.Context, id string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, c.base.JoinPath("v1", "grades", url.PathEscape(id)), nil, nil)
	return err
}

// Sets lists the question sets.
func (c *Client) Sets(ctx context.Context) ([]SetSummary, error) {
	sets, err := call[[]SetSummary](ctx, c, http.MethodGet, c.base.JoinPath("v1", "sets"), nil, nil)
	if err != nil {
		return nil, err
	}
	return *sets, nil
}

// Set returns one question set.
func (c *Client) Set(ctx context.Context, id string) (*SetSummary, error) {
	return call[SetSummary](ctx, c, http.MethodGet, c.base.JoinPath("v1", "sets", url.PathEscape(id)), nil, nil)
}

// Question returns the question SET/QUESTION, with its sample answer if asked.
func (c *Client) Question(ctx context.Context, ref string, sample bool) (*QuestionView, error) {
	set, question, ok := strings.Cut(ref, "/")
	if !ok {
		return nil, fmt.Errorf("a question is named SET/QUESTION: %w", UnknownQuestion)
	}
	u := c.base.JoinPath("v1", "sets", url.PathEscape(set), "questions", url.PathEscape(question))
	if sample {
		u.RawQuery = "include=sample_answer"
	}
	return call[QuestionView](ctx, c, http.MethodGet, u, nil, nil)
}

// call sends one request and decodes the reply into T.
func call[T any](ctx context.Context, c *Client, method string, u *url.URL, body []byte, options []Option) (*T, error) {
	if body == nil {
		return exchange[T](ctx, c, method, u, nil, options)
	}
	return exchange[T](ctx, c, method, u, bytes.NewReader(body), options, "Content-Type", "application/json")
}

// exchange sends one request with headers and decodes the reply into T. Fields
// that this version does not know are ignored, so that an older client can call
// a newer service.
func exchange[T any](ctx context.Context, c *Client, method string, u *url.URL, body io.Reader, options []Option, headers ...string) (*T, error) {
	resp, err := c.send(ctx, method, u, body, options, headers...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written: closing cannot lose anything
	reply, err := readReply(resp)
	if err != nil {
		return nil, err
	}
	out := new(T)
	if len(reply) == 0 { // 204
		return out, nil
	}
	if err := json.Unmarshal(reply, out); err != nil {
		return nil, fmt.Errorf("decode the service's reply: %w", err)
	}
	return out, nil
}

// send sends one request with headers (name, value, …) and returns a reply of
// success, whose body is the caller's to close.
func (c *Client) send(ctx context.Context, method string, u *url.URL, body io.Reader, options []Option, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, u.Path, err)
	}
	req.Header.Set("Accept", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	for _, option := range options {
		option(req)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("call the service: %w", err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written: closing cannot lose anything
	reply, err := readReply(resp)
	if err != nil {
		return nil, err
	}
	return nil, problemOf(resp, reply)
}

func readReply(resp *http.Response) ([]byte, error) {
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the service's reply: %w", err)
	case len(reply) > maxReply:
		return nil, fmt.Errorf("read the service's reply: more than %d bytes", maxReply)
	}
	return reply, nil
}

// problemOf is the problem that a reply describes, or one made from its status
// where something in between answered for the service.
func problemOf(resp *http.Response, reply []byte) *Problem {
	p := &Problem{}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || media != ProblemMedia || json.Unmarshal(reply, p) != nil || p.Status == 0 {
		p = &Problem{Type: "about:blank", Title: http.StatusText(resp.StatusCode), Status: resp.StatusCode}
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}
