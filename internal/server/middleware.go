package server

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/api"
)

// exchange is what is known of a request while it is answered.
type exchange struct {
	id      string
	start   time.Time
	tenant  string
	key     *access.Key // of a guarded route, once admitted
	cache   string
	problem string
	unread  bool       // there may be more of the body
	status  int        // how it ended where that is not what was sent: the client had left, or a stream has begun; else 0
	events  *stream    // takes a failure as its last event, once it has begun; nil: this reply is none
	span    trace.Span // nil where nobody traces
}

// exchangeKey is where gin keeps the exchange.
const exchangeKey = "gradus.exchange"

func exchangeOf(c *gin.Context) *exchange {
	x, _ := c.MustGet(exchangeKey).(*exchange)
	return x
}

// apiPolicy lets a reply be nothing but data, should a browser ever render it.
const apiPolicy = "default-src 'none'; frame-ancestors 'none'"

// around wraps every request: id, headers, recovery, access log.
func (s *Server) around(c *gin.Context) {
	x := &exchange{id: requestID(c.Request.Header), start: time.Now()}
	c.Set(exchangeKey, x)
	s.beginSpan(c, x)
	h := c.Writer.Header()
	h["X-Request-Id"] = []string{x.id}
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = noReferrer
	h["Content-Security-Policy"] = dataOnly
	h["Cross-Origin-Resource-Policy"] = sameOrigin

	defer s.finish(c, x)
	defer s.rescue(c, x)
	c.Next()
}

// Header values that every reply carries. Nobody appends to them: net/http
// copies a list before it adds.
var (
	nosniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	dataOnly   = []string{apiPolicy}
	sameOrigin = []string{"same-origin"}
)

// finish writes the access log: no query, no body, the pattern of the path only.
func (s *Server) finish(c *gin.Context, x *exchange) {
	status := cmp.Or(x.status, c.Writer.Status())
	took := time.Since(x.start)
	x.endSpan(status)
	if s.cfg.Observe != nil {
		s.cfg.Observe(Exchange{Method: known(c.Request.Method), Route: c.FullPath(), Status: status, Cache: x.cache, Problem: x.problem, Took: took})
	}
	ctx := c.Request.Context()
	if !s.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs,
		slog.String("request_id", x.id),
		slog.String("method", known(c.Request.Method)),
		slog.String("route", c.FullPath()),
		slog.Int("status", status),
		slog.Int("bytes", max(c.Writer.Size(), 0)),
		slog.Float64("took_ms", float64(took.Microseconds())/1000))
	if x.tenant != "" {
		attrs = append(attrs, slog.String("tenant", x.tenant))
	}
	if x.key != nil && x.key.ID != "" {
		attrs = append(attrs, slog.String("key", x.key.ID))
	}
	if x.cache != "" {
		attrs = append(attrs, slog.String("cache", x.cache))
	}
	if x.problem != "" {
		attrs = append(attrs, slog.String("problem", x.problem))
	}
	if x.span != nil {
		attrs = append(attrs, slog.String("trace_id", x.span.SpanContext().TraceID().String()))
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "request", attrs...)
}

// known is a method as it may be counted and logged. A caller can invent any
// number of others, and each would be a time series for as long as we run.
func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return "other"
}

// statusClientGone is logged, never sent, when the client left first.
const statusClientGone = 499

// rescue turns a panic into a problem. What was panicked with may hold an
// answer, so only its type is logged, and the text of runtime errors.
func (s *Server) rescue(c *gin.Context, x *exchange) {
	what := recover()
	if what == nil {
		return
	}
	if err, ok := what.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(what)
	}
	cause := fmt.Sprintf("%T", what)
	if err, ok := what.(runtime.Error); ok {
		cause = err.Error()
	}
	s.log.LogAttrs(c.Request.Context(), slog.LevelError, "panic",
		slog.String("request_id", x.id), slog.String("route", c.FullPath()),
		slog.String("cause", cause), slog.String("stack", string(debug.Stack())))
	if c.Writer.Written() && x.events == nil {
		x.problem = api.Internal.Slug()
		panic(http.ErrAbortHandler) // the reply must not look complete
	}
	s.fail(c, &panicked{})
}

// panicked has been logged already.
type panicked struct{}

func (*panicked) Error() string { return "panic" }

// requestID is the caller's own id where it is fit to be logged, else a new one.
func requestID(h http.Header) string {
	if sent := h["X-Request-Id"]; len(sent) == 1 && validRequestID(sent[0]) {
		return sent[0]
	}
	id, err := uuid.NewV7()
	if err != nil {
		panic(err) // no randomness: nothing here could be trusted
	}
	return id.String()
}

// maxRequestID is in bytes.
const maxRequestID = 128

func validRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := 0; i < len(id); i++ {
		switch b := id[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '-', b == '_', b == '.':
		default:
			return false
		}
	}
	return true
}

// admit decides whether a request to a guarded route goes on, and as whom.
func (s *Server) admit(c *gin.Context, ep *endpoint) error {
	if err := s.callers.Check(c.Request); err != nil {
		return fail(api.CrossOrigin, "This request comes from another site.")
	}
	key, err := s.identify(c)
	if err != nil {
		return err
	}
	x := exchangeOf(c)
	x.tenant, x.key = key.Tenant, key
	if need := ep.scope(); !key.Scopes.Has(need) {
		return fail(api.ForbiddenScope, "The key lacks the scope \""+string(need)+"\".")
	}
	if s.draining.Load() && c.Request.Method == http.MethodPost {
		c.Header("Connection", "close")
		return fail(api.ShuttingDown, "No new grades are begun.")
	}
	return s.meter(c, key)
}
