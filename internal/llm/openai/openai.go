// Package openai asks a model over the chat-completions API of OpenAI and of
// everything that speaks it: Azure, vLLM, Ollama, llama.cpp, LM Studio,
// gateways. It is the only importer of go-openai, and it makes good what that
// client leaves to its callers:
//
//   - a temperature of 0 is really sent (go-openai drops it as empty);
//   - every failure is read off the status, headers and body before go-openai
//     sees it, so that Retry-After survives and an error page never becomes
//     error text, and a 200 without an answer is a failure too;
//   - a reply is bounded after inflation, redirects are never followed, and
//     every attempt has an end;
//   - a reply that somebody watches comes in pieces, with the same bounds, and
//     counts only once it is whole;
//   - what a model or a server does not take (a JSON Schema, a stream, a
//     temperature, a reasoning effort, the name of the token limit, a system
//     role) is learned from its own 400s and remembered.
//
// It does not retry, wait or choose another model: that is the wrappers' work.
package openai

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	api "github.com/sashabaranov/go-openai"

	"github.com/gradus-ai/gradus/internal/llm"
)

// DefaultBaseURL is OpenAI's own endpoint.
const DefaultBaseURL = "https://api.openai.com/v1"

// Defaults of Config.
const (
	defaultConcurrency = 16
	defaultReplyLimit  = 4 << 20
	defaultDial        = 5 * time.Second
	defaultAttempt     = 100 * time.Second
	defaultIdle        = 30 * time.Second
	listTimeout        = 15 * time.Second
)

// Config describes an endpoint. The zero value of a field is its default.
type Config struct {
	// BaseURL is the API's root, usually ending in /v1. An Azure deployment is
	// given as https://HOST/openai/deployments/NAME?api-version=VERSION.
	// Default: OpenAI's.
	BaseURL string
	// APIKey is sent as a bearer token; empty sends none.
	APIKey string
	// Model is the model asked. It may be empty for a client that only lists
	// models; see Client.For.
	Model string

	// MaxConcurrency is how many calls the caller has in flight at most: so
	// many connections are kept for reuse. Default 16.
	MaxConcurrency int
	// ReplyLimit is the most bytes of a reply that are read, after inflation.
	// Default 4 MiB.
	ReplyLimit int64
	// DialTimeout bounds connecting, and the TLS handshake again. Default 5 s.
	DialTimeout time.Duration
	// HeaderTimeout bounds the wait for the reply's headers, which most
	// endpoints send when the answer is complete. Default: AttemptTimeout.
	HeaderTimeout time.Duration
	// AttemptTimeout bounds one attempt as a whole: what takes longer is the
	// endpoint's fault and no longer the caller's patience. Default 100 s.
	AttemptTimeout time.Duration
	// IdleTimeout is how long a reply that comes in pieces may stop once it has
	// begun. What only keeps the connection open is no piece. Default 30 s.
	IdleTimeout time.Duration

	// Proxy chooses the proxy for https endpoints. Default: as HTTPS_PROXY and
	// NO_PROXY say. Plain http endpoints are local and never go to a proxy.
	Proxy func(*http.Request) (*url.URL, error)
	// TLS replaces the TLS settings, for an endpoint with a private authority.
	TLS *tls.Config
	// Transport replaces the whole transport, and with it the five settings
	// above that shape connections.
	Transport http.RoundTripper

	// Logger gets one line for each thing learned about the endpoint. Default:
	// none.
	Logger *slog.Logger
	// Now is the clock against which a Retry-After date is read when the reply
	// carries no Date. Default: time.Now.
	Now func() time.Time
}

// Client asks one model at one endpoint. It is safe for concurrent use.
type Client struct {
	cfg     Config
	api     *api.Client
	files   *api.Client // for the content of files
	streams *api.Client // for replies in pieces
	model   string
	learned *learned
}

// New makes a client; nothing is sent yet. The error names a setting that
// cannot be used.
func New(cfg Config) (*Client, error) {
	cfg.BaseURL = cmp.Or(cfg.BaseURL, DefaultBaseURL)
	base, err := url.Parse(cfg.BaseURL)
	switch {
	case err != nil: // the parser's own text would repeat a password in the URL
		return nil, errors.New("base URL of the model endpoint is not a URL")
	case base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		return nil, errors.New("base URL of the model endpoint must begin with http:// or https:// and name a host")
	case base.Fragment != "":
		return nil, errors.New("base URL of the model endpoint must not have a fragment")
	}
	if cfg.MaxConcurrency <= 0 {
		cfg.MaxConcurrency = defaultConcurrency
	}
	if cfg.ReplyLimit <= 0 {
		cfg.ReplyLimit = defaultReplyLimit
	}
	if cfg.DialTimeout <= 0 {
		cfg.DialTimeout = defaultDial
	}
	if cfg.AttemptTimeout <= 0 {
		cfg.AttemptTimeout = defaultAttempt
	}
	if cfg.IdleTimeout <= 0 {
		cfg.IdleTimeout = defaultIdle
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Transport == nil {
		cfg.Transport = newTransport(cfg)
	}
	below, w := goOpenAI(cfg, base)
	client := &Client{cfg: cfg, api: api.NewClientWithConfig(below)}
	below.HTTPClient = fileWire{w}
	client.files = api.NewClientWithConfig(below)
	below.HTTPClient = streamWire{w}
	client.streams = api.NewClientWithConfig(below)
	return client.For(cfg.Model), nil
}

// For is a client for another model at the same endpoint, over the same
// connections.
func (c *Client) For(model string) *Client {
	sibling := *c
	sibling.model, sibling.learned = model, &learned{}
	return &sibling
}

// goOpenAI configures the client underneath, with its wire.
func goOpenAI(cfg Config, base *url.URL) (api.ClientConfig, *wire) {
	out := api.DefaultConfig(cfg.APIKey)
	// A query belongs behind the path that go-openai appends, not before it.
	out.APIVersion = base.Query().Get("api-version")
	root := *base
	root.RawQuery = ""
	out.BaseURL = strings.TrimRight(root.String(), "/")
	w := &wire{limit: cfg.ReplyLimit, now: cfg.Now, client: &http.Client{
		Transport: cfg.Transport,
		// A redirected POST becomes a GET somewhere else, with our key.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if host := base.Hostname(); strings.HasSuffix(host, ".azure.com") {
		w.azureKey = cfg.APIKey
	}
	out.HTTPClient = w
	return out, w
}

// Close closes the connections that are not in use. The client and its
// siblings stay usable.
func (c *Client) Close() {
	if t, ok := c.cfg.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Models is the one model that this client asks.
func (c *Client) Models() []string { return []string{c.model} }

// Complete asks the model once, or a few times where the endpoint says what
// it does not take. It returns the errors of package llm or the context's.
func (c *Client) Complete(ctx context.Context, req llm.Request) (*llm.Reply, error) {
	if err := c.check(req); err != nil {
		return nil, err
	}
	var first error
	sent := c.learned.shape()
	// Each round gives something up and nothing is taken back, so this ends.
	for {
		reply, refused, err := c.ask(ctx, req, sent)
		if err == nil {
			if c.learned.answered(sent, req.Schema != nil) {
				c.tell(guessed, sent)
			}
			return reply, nil
		}
		if refused == nil {
			return nil, err
		}
		if first == nil {
			first = err
		}
		if req.MaxTokens > 0 && refused.tooLarge() {
			// True of this request only: the model's own limit does as well.
			req.MaxTokens = 0
			continue
		}
		next, lesson := c.adapt(sent, req, refused)
		switch lesson {
		case "":
			return nil, first
		case guessed:
		default:
			first = nil
			if c.learned.add(next) {
				c.tell(lesson, next)
			}
		}
		sent = next
	}
}

// check refuses what could not arrive as it is meant.
func (c *Client) check(req llm.Request) error {
	refuse := func(code string) error {
		return &llm.RefusedError{Kind: llm.ErrRejected, Code: code}
	}
	switch {
	case c.model == "":
		return refuse("no_model_chosen")
	case len(req.Messages) == 0:
		return refuse("no_messages")
	}
	for _, m := range req.Messages {
		switch {
		case m.Text == "": // go-openai would leave the content out
			return refuse("empty_message")
		case !utf8.ValidString(m.Text): // would arrive as another text, and quotes of it would not be found
			return refuse("invalid_utf8")
		}
	}
	return nil
}

// ask makes one attempt. A refusal comes back beside its error where the
// endpoint may have named what it does not take.
func (c *Client) ask(caller context.Context, req llm.Request, s shape) (*llm.Reply, *refusal, error) {
	ctx, cancel := context.WithTimeoutCause(caller, c.cfg.AttemptTimeout, llm.ErrTimeout)
	defer cancel()
	var resp api.ChatCompletionResponse
	var err error
	if req.Watch != nil && !s.noStream {
		resp, err = c.stream(ctx, build(c.model, req, s), req.Watch)
	} else {
		resp, err = c.api.CreateChatCompletion(ctx, build(c.model, req, s))
	}
	if err != nil {
		var refused *refusal
		if !errors.As(err, &refused) {
			return nil, nil, fault(caller, ctx, err)
		}
		if refused.withheld() {
			return &llm.Reply{Refused: true, Model: c.model}, nil, nil
		}
		if refused.status == http.StatusBadRequest || refused.status == http.StatusUnprocessableEntity {
			return nil, refused, refused.err()
		}
		return nil, nil, refused.err()
	}
	reply, err := c.read(resp)
	return reply, nil, err
}

// read turns a completion into a reply.
func (c *Client) read(resp api.ChatCompletionResponse) (*llm.Reply, error) {
	if len(resp.Choices) == 0 {
		return nil, &llm.UnavailableError{Status: http.StatusOK, Reason: "no_choices", RequestID: requestID(resp.Header())}
	}
	choice := resp.Choices[0]
	if choice.FinishReason == "error" { // how gateways report a stream that broke behind them
		return nil, &llm.UnavailableError{Status: http.StatusOK, Reason: "unfinished_reply", RequestID: requestID(resp.Header())}
	}
	reply := &llm.Reply{
		Text:      choice.Message.Content,
		Refused:   choice.Message.Refusal != "" || choice.FinishReason == api.FinishReasonContentFilter,
		Truncated: choice.FinishReason == api.FinishReasonLength,
		Model:     cmp.Or(resp.Model, c.model),
		Usage: llm.Usage{
			PromptTokens:     max(0, resp.Usage.PromptTokens),
			CompletionTokens: max(0, resp.Usage.CompletionTokens),
		},
	}
	if d := resp.Usage.PromptTokensDetails; d != nil {
		reply.Usage.CachedTokens = min(max(0, d.CachedTokens), reply.Usage.PromptTokens)
	}
	// Some servers bind the schema to the model's thoughts and stop there
	// (lmstudio-bug-tracker#1773): the answer is then among the thoughts.
	if thoughts := strings.TrimSpace(choice.Message.ReasoningContent); reply.Text == "" && !reply.Refused && strings.HasPrefix(thoughts, "{") {
		reply.Text = thoughts
	}
	return reply, nil
}

// ListModels asks the endpoint for the models it has, in its own order.
func (c *Client) ListModels(ctx context.Context) ([]string, error) {
	attempt, cancel := context.WithTimeoutCause(ctx, listTimeout, llm.ErrTimeout)
	defer cancel()
	list, err := c.api.ListModels(attempt)
	if err != nil {
		var refused *refusal
		if errors.As(err, &refused) {
			err = refused.err()
		} else {
			err = fault(ctx, attempt, err)
		}
		return nil, fmt.Errorf("list models: %w", err)
	}
	names := make([]string, 0, len(list.Models))
	for _, m := range list.Models {
		if m.ID != "" {
			names = append(names, m.ID)
		}
	}
	return names, nil
}
