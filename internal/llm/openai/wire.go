package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gradus-ai/gradus/internal/llm"
)

// wire carries go-openai's requests and settles every failure before go-openai
// sees the reply: go-openai loses the headers of a failure, repeats the body of
// an error page in its error, and takes a 200 without an answer for one.
type wire struct {
	client   *http.Client
	limit    int64
	azureKey string
	now      func() time.Time
}

var errOversized = errors.New("reply is larger than the limit")

// Do sends a request. The error is a *refusal, an error of package llm, or the
// transport's.
func (w *wire) Do(req *http.Request) (*http.Response, error) {
	resp, err := w.send(req)
	if err != nil {
		return nil, err
	}
	body, err := w.whole(resp)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// whole reads and closes a reply that is one JSON value, and no error.
func (w *wire) whole(resp *http.Response) ([]byte, error) {
	defer func() { _ = resp.Body.Close() }()
	body, err := readAll(resp, w.limit)
	if err != nil {
		return nil, err
	}
	// Valid as a whole: go-openai would take the first of two objects.
	if !json.Valid(body) {
		return nil, &llm.UnavailableError{Status: resp.StatusCode, Reason: "unreadable_reply", RequestID: requestID(resp.Header)}
	}
	if r := errorInReply(resp, body, w.now()); r != nil {
		return nil, r
	}
	return body, nil
}

// send is Do for replies that are not looked at: the caller closes the body.
func (w *wire) send(req *http.Request) (*http.Response, error) {
	if err := plainZero(req); err != nil {
		return nil, err
	}
	if w.azureKey != "" {
		req.Header.Set("Api-Key", w.azureKey)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	// Whatever of the page cannot be read is not missed.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, errorBodyLimit))
	return nil, parseRefusal(resp.StatusCode, resp.Header, body, w.now())
}

// fileWire carries requests for files: what comes is read line by line, by
// whoever asked.
type fileWire struct{ *wire }

// Do sends a request; errors are as in wire.Do.
func (w fileWire) Do(req *http.Request) (*http.Response, error) { return w.send(req) }

// readAll reads a reply up to the limit, counted after inflation: net/http
// inflates as it is read, so a bomb is cut where the limit is.
func readAll(resp *http.Response, limit int64) ([]byte, error) {
	room := int64(bytes.MinRead)
	if resp.ContentLength > 0 && resp.ContentLength <= limit {
		room += resp.ContentLength
	}
	buf := bytes.NewBuffer(make([]byte, 0, room))
	if _, err := buf.ReadFrom(io.LimitReader(resp.Body, limit+1)); err != nil {
		return nil, err
	}
	if int64(buf.Len()) > limit {
		return nil, errOversized
	}
	return buf.Bytes(), nil
}

// errorInReply finds an error object where an answer should be; nil when the
// reply has choices. Within JSON strings the quotes below are escaped, so the
// text of an answer cannot look like the member.
func errorInReply(resp *http.Response, body []byte, now time.Time) *refusal {
	if !bytes.Contains(body, []byte(`"error"`)) {
		return nil
	}
	var reply struct {
		Error   json.RawMessage   `json:"error"`
		Choices []json.RawMessage `json:"choices"`
	}
	err := json.Unmarshal(body, &reply)
	if found := err == nil && present(reply.Error) && len(reply.Choices) == 0; !found {
		return nil // another shape is for go-openai to stumble over
	}
	r := parseRefusal(resp.StatusCode, resp.Header, body, now)
	r.retryAfter = retryAfter(resp.Header, now)
	return r
}

// The temperature as go-openai writes it (see zero) and as it is meant.
var (
	almostZero = []byte(`"temperature":1e-45`)
	trueZero   = []byte(`"temperature":0`)
)

// plainZero writes the temperature out as 0. The quotes around the name are
// not escaped, so no text of a message can match, and it comes before the
// schema, which is sent as it stands.
func plainZero(req *http.Request) error {
	if req.Body == nil || req.ContentLength <= 0 {
		return nil
	}
	body := make([]byte, req.ContentLength)
	if _, err := io.ReadFull(req.Body, body); err != nil {
		return err
	}
	if at := bytes.Index(body, almostZero); at >= 0 {
		rest := body[at+len(almostZero):]
		body = append(append(body[:at], trueZero...), rest...)
	}
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, _ = req.GetBody()
	return nil
}

// newTransport makes the connections. They are kept in number as there are
// calls in flight: with net/http's default of two most calls would begin with
// a handshake.
func newTransport(cfg Config) http.RoundTripper {
	dialer := &net.Dialer{Timeout: cfg.DialTimeout, KeepAlive: 15 * time.Second}
	proxy := cfg.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	return &http.Transport{
		Proxy:                 httpsOnly(proxy),
		DialContext:           dialer.DialContext,
		TLSClientConfig:       cfg.TLS.Clone(),
		TLSHandshakeTimeout:   cfg.DialTimeout,
		ResponseHeaderTimeout: cfg.HeaderTimeout,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConns:          0, // only the host's own bound counts
		MaxIdleConnsPerHost:   cfg.MaxConcurrency,
		ForceAttemptHTTP2:     true,
		// A connection that died silently would take every call on it along.
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		MaxResponseHeaderBytes: 64 << 10,
	}
}
